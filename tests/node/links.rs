//! Connections between real nodes through networks that stop, crawl or carry one direction only.

use crate::proxy::{Proxy, Way};
use crate::support::{Answer, Client, Cluster, Process, QUICK, kv_node, new_folder, wait_for};

/// Nodes whose connections go through proxies, one for each pair and direction.
struct Net {
    cluster: Cluster,
    /// By whoever dials, then by whoever is dialled.
    proxies: Vec<Vec<Proxy>>,
}

impl Net {
    fn new(test: &str, nodes: usize, settings: &'static str) -> Self {
        let cluster = Cluster::within(new_folder(test), nodes, settings);
        let ports: Vec<u16> = (0..nodes).map(|index| cluster.peer_port(index)).collect();
        let from = |_: usize| ports.iter().map(|port| Proxy::new(*port)).collect();
        Self { proxies: (0..nodes).map(from).collect(), cluster }
    }

    fn proxy(&self, from: usize, to: usize) -> &Proxy {
        &self.proxies[from][to]
    }

    /// Starts a node that reaches each other one through a proxy.
    fn start(&self, index: usize) -> Process {
        let text = std::fs::read_to_string(self.cluster.config()).expect("it was written");
        let through = |text: String, to: usize| {
            let direct = format!("127.0.0.1:{}", self.cluster.peer_port(to));
            let proxy = self.proxy(index, to).address.to_string();
            if to == index { text } else { text.replace(&direct, &proxy) }
        };
        let text = (0..self.proxies.len()).fold(text, through);
        let config = self.cluster.data_dir(index).with_extension("toml");
        std::fs::write(&config, text).expect("the folder is ours");
        let mut command = kv_node();
        command.args(["start", "--config"]).arg(config);
        command.args(["--name", &format!("n{}", index + 1)]);
        command.arg("--data-dir").arg(self.cluster.data_dir(index));
        command.args(["--peer", &format!("127.0.0.1:{}", self.cluster.peer_port(index))]);
        self.cluster.start_as(index, command)
    }

    fn start_all(&self) -> Vec<Process> {
        let nodes: Vec<_> = (0..self.proxies.len()).map(|index| self.start(index)).collect();
        for node in &nodes {
            wait_for_links(node, nodes.len() - 1);
        }
        nodes[0].found();
        nodes.iter().for_each(Process::wait_until_it_serves);
        nodes
    }
}

fn wait_for_links(node: &Process, links: usize) {
    wait_for(&format!("{links} links"), || {
        (node.metric("kv_peer_links_up") == links as f64).then_some(())
    });
}

/// The values that a node holds itself.
fn held(client: &mut Client, key: &str) -> Vec<Answer> {
    match client.ask(&["KV.GET", key, "R", "one"]) {
        Answer::Array(fields) => match &fields[1] {
            Answer::Array(values) => values.clone(),
            other => panic!("values are an array: {other:?}"),
        },
        _ => Vec::new(),
    }
}

#[test]
fn a_link_that_has_become_silent_is_down_within_seconds_and_up_again_when_it_heals() {
    let net = Net::new("silent-link", 2, QUICK);
    let nodes = net.start_all();
    net.proxy(0, 1).swallow(&[Way::There, Way::Back]);
    wait_for_links(&nodes[0], 0);
    assert!(nodes[0].metric("kv_peer_links_reset_total") >= 1.0);
    assert_eq!(nodes[1].metric("kv_peer_links_up"), 1.0, "the other way carries");
    net.proxy(0, 1).heal();
    wait_for_links(&nodes[0], 1);
}

#[test]
fn a_link_on_which_only_the_way_back_is_cut_is_down() {
    let net = Net::new("one-way", 2, QUICK);
    let nodes = net.start_all();
    net.proxy(0, 1).swallow(&[Way::Back]);
    wait_for_links(&nodes[0], 0);
    net.proxy(0, 1).heal();
    wait_for_links(&nodes[0], 1);
}

#[test]
fn a_large_value_over_a_slow_link_arrives_once_and_keeps_nobody_waiting() {
    const VALUE_BYTES: usize = 12 << 20;
    const SETTINGS: &str = "partitions = 64\n\
        [limits]\nheld_bytes = 67108864\n\
        [node]\ngossip_interval_ms = 200\nhedge_ms = 10000\ntimeout_ms = 60000\n\
        repair_interval_ms = 600000\nhint_retry_ms = 60000\nsiblings_max = 2\n\
        value_bytes_max = 16777216\n";
    let net = Net::new("slow-link", 3, SETTINGS);
    let nodes = net.start_all();
    net.proxy(0, 2).limit(1_500_000);
    let (mut near, mut far) = (nodes[0].client(), nodes[2].client());
    let value = "v".repeat(VALUE_BYTES);
    assert_eq!(near.ask(&["SET", "large", &value]), Answer::ok(), "the other two have it");

    // It is on its way to the third, and this overtakes it.
    let stored = near.ask(&["KV.PUT", "small", "v", "NONE", "W", "all"]);
    assert!(matches!(stored, Answer::Array(_)), "{stored:?}");
    let merges = || nodes[0].metric("kv_peer_messages_total{direction=\"out\",kind=\"merge\"}");
    assert!(merges() < 4.0, "the large one takes seconds");
    assert_eq!(held(&mut far, "small"), [Answer::bulk("v")]);

    wait_for("the large value", || (merges() == 4.0).then_some(()));
    let sent = nodes[0].metric("kv_peer_bytes_total{direction=\"out\"}");
    assert!(sent < 2.2 * VALUE_BYTES as f64, "{sent} bytes to two peers: some went twice");
    for node in &nodes {
        assert_eq!(node.metric("kv_peer_links_reset_total"), 0.0);
    }
    wait_for("the third to have it", || (held(&mut far, "large").len() == 1).then_some(()));
}

//! The commands that Redis has and this store does not, and what to use in their place.
//!
//! In goes a name that is none of ours; out comes whether Redis knows it, so that a client which
//! was written for Redis is told what is missing, and only a name that nobody knows is taken for a
//! slip of the finger.

/// Commands that are missing for one reason.
struct Family {
    /// The names, separated by spaces. A name that ends with a dot stands for all that begin with
    /// it.
    names: &'static str,
    /// The reason, and the command to use in its place.
    instead: &'static str,
}

/// A subcommand that Redis has and this store does not.
struct Subcommand {
    container: &'static str,
    names: &'static str,
    instead: &'static str,
}

const ABSENT_FAMILIES: &[Family] = &[
    Family {
        names: "MULTI",
        instead: "Everything up to EXEC or DISCARD is refused with it. Send commands without MULTI: \
                  each is done on its own (in redis-py: pipeline(transaction=False))",
    },
    Family {
        names: "WATCH",
        instead: "KV.PUT with the CONTEXT of a KV.GET overwrites exactly what was read; what was \
                  written meanwhile stays beside it",
    },
    Family {
        names: "SWAPDB MOVE",
        instead: "There is one database, 0. Begin keys with a prefix of their own",
    },
    Family {
        names: "INCR DECR INCRBY DECRBY INCRBYFLOAT",
        instead: "Counters are not there. KV.GET the number and KV.PUT the next one with its \
                  CONTEXT: who counted meanwhile is a sibling then, and nothing is lost",
    },
    Family {
        names: "SETNX MSETNX GETSET GETDEL DELEX DIGEST",
        instead: "Nothing is compared and set in one step. KV.GET, then KV.PUT or KV.DEL with its \
                  CONTEXT, overwrites exactly what was read",
    },
    Family {
        names: "SETEX PSETEX GETEX MSETEX EXPIRE EXPIREAT PEXPIRE PEXPIREAT PERSIST TTL PTTL \
                EXPIRETIME PEXPIRETIME",
        instead: "Values do not expire. SET them, and DEL them when their time has come",
    },
    Family {
        names: "APPEND SETRANGE GETRANGE SUBSTR LCS GETBIT SETBIT BITCOUNT BITOP BITPOS BITFIELD \
                BITFIELD_RO",
        instead: "Values are read and written as a whole: GET it, change it, and SET it, or KV.PUT \
                  it with the CONTEXT of a KV.GET",
    },
    Family {
        names: "UNLINK",
        instead: "DEL does the same: it writes a tombstone, and what lay under the key is freed later",
    },
    Family {
        names: "RENAME RENAMENX COPY",
        instead: "GET the value, SET it under the other key, and DEL the first key",
    },
    Family {
        names: "KEYS SCAN RANDOMKEY DBSIZE",
        instead: "A node holds a part of the keys, and nobody lists or counts them. Keep a list of \
                  them in a value of its own",
    },
    Family {
        names: "FLUSHALL FLUSHDB",
        instead: "Nothing deletes all keys at once: DEL each of them",
    },
    Family {
        names: "TYPE OBJECT TOUCH",
        instead: "Every value is a string, and none is evicted. EXISTS says whether there is one",
    },
    Family {
        names: "DUMP RESTORE RESTORE-ASKING MIGRATE SORT SORT_RO",
        instead: "Values are read with GET or KV.GET, and written with SET or KV.PUT",
    },
    Family {
        names: "HDEL HEXISTS HEXPIRE HEXPIREAT HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY \
                HINCRBYFLOAT HKEYS HLEN HMGET HMSET HPERSIST HPEXPIRE HPEXPIREAT HPEXPIRETIME HPTTL \
                HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL HVALS",
        instead: "Hashes are not there. SET each field under a key of its own, such as user:7:name, \
                  or all of them as one value, such as JSON",
    },
    Family {
        names: "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH LINDEX LINSERT LLEN LMOVE LMPOP LPOP LPOS LPUSH \
                LPUSHX LRANGE LREM LSET LTRIM RPOP RPOPLPUSH RPUSH RPUSHX",
        instead: "Lists are not there. SET the whole list as one value, such as JSON, or each \
                  element under a key of its own",
    },
    Family {
        names: "SADD SCARD SDIFF SDIFFSTORE SINTER SINTERCARD SINTERSTORE SISMEMBER SMEMBERS \
                SMISMEMBER SMOVE SPOP SRANDMEMBER SREM SSCAN SUNION SUNIONSTORE",
        instead: "Sets are not there. SET each member under a key of its own and ask with EXISTS, or \
                  the whole set as one value",
    },
    Family {
        names: "BZMPOP BZPOPMAX BZPOPMIN ZADD ZCARD ZCOUNT ZDIFF ZDIFFSTORE ZINCRBY ZINTER \
                ZINTERCARD ZINTERSTORE ZLEXCOUNT ZMPOP ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE \
                ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK \
                ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE \
                ZUNION ZUNIONSTORE",
        instead: "Sorted sets are not there. SET the whole set as one value, such as JSON, and sort \
                  it in the client",
    },
    Family {
        names: "GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO \
                GEORADIUS_RO GEOSEARCH GEOSEARCHSTORE PFADD PFCOUNT PFDEBUG PFMERGE PFSELFTEST \
                VADD VCARD VDIM VEMB VGETATTR VINFO VISMEMBER VLINKS VRANDMEMBER VRANGE VREM VSETATTR \
                VSIM XACK XACKDEL XADD XAUTOCLAIM XCFGSET XCLAIM XDEL XDELEX XGROUP XINFO XLEN \
                XPENDING XRANGE XREAD XREADGROUP XREVRANGE XSETID XTRIM \
                BF. CF. CMS. FT. JSON. TDIGEST. TOPK. TS.",
        instead: "Every value is a string. SET the whole of it as one value, which the client reads \
                  and changes",
    },
    Family {
        names: "PUBLISH PUBSUB SPUBLISH SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE \
                SUNSUBSCRIBE",
        instead: "Nobody passes messages on: ask for keys from time to time, or use a message broker",
    },
    Family {
        names: "EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO FUNCTION SCRIPT",
        instead: "Scripts need one server that does one thing at a time. Read, decide in the client, \
                  and KV.PUT with the CONTEXT that was read",
    },
    Family {
        names: "WAIT WAITAOF",
        instead: "A write is answered when W copies of it are durable: set W with KV.OPTIONS, or for \
                  one write with KV.PUT",
    },
    Family {
        names: "CLUSTER",
        instead: "Every node serves every key: connect as to a single server, to any node",
    },
    Family {
        names: "FAILOVER PSYNC REPLCONF REPLICAOF ROLE SENTINEL SLAVEOF SYNC",
        instead: "There is no primary and no replica of a server: every node takes reads and writes, \
                  and copies are kept by the cluster",
    },
    Family {
        names: "ACL",
        instead: "There are no users and no passwords: see to it that only clients reach the port",
    },
    Family {
        names: "BGREWRITEAOF BGSAVE LASTSAVE SAVE",
        instead: "There are no snapshots to be made: what was acknowledged is on disk, as far as the \
                  node's durability says (CONFIG GET appendfsync)",
    },
    Family {
        names: "DEBUG HOTKEYS LATENCY LOLWUT MEMORY MODULE MONITOR SLOWLOG TIME",
        instead: "INFO says how the node is, and its HTTP port more: /health/ready and /metrics",
    },
    Family {
        names: "SHUTDOWN",
        instead: "Send SIGTERM to the process: it answers what it owes, and ends",
    },
];

const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        container: "CLIENT",
        names: "KILL PAUSE UNPAUSE UNBLOCK",
        instead: "No client waits on a command, and none is stopped by another one: end the client",
    },
    Subcommand {
        container: "CLIENT",
        names: "CACHING GETREDIR TRACKINGINFO",
        instead: "Nobody is told of changes to what it has read: cache nothing",
    },
    Subcommand {
        container: "COMMAND",
        names: "GETKEYS GETKEYSANDFLAGS",
        instead: "COMMAND INFO says where the keys of a command stand",
    },
    Subcommand {
        container: "CONFIG",
        names: "REWRITE SET",
        instead: "Settings of a running node do not change: write them in the file that it was \
                  started with, and start it again",
    },
    Subcommand {
        container: "CONFIG",
        names: "RESETSTAT",
        instead: "Counters begin anew when the node does: look at their differences",
    },
];

/// A command or subcommand that Redis has and this store does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absent {
    /// The name in upper case.
    pub(super) name: &'static str,
    /// The reason, and the command to use in its place.
    pub(super) instead: &'static str,
}

/// Finds the command of this name, in any case, if Redis has it and this store does not.
pub(super) fn command(name: &[u8]) -> Option<Absent> {
    let all = ABSENT_FAMILIES.iter().map(|Family { names, instead }| (*names, *instead));
    find(all, name)
}

/// Finds the subcommand of this name, in any case, if Redis has it and this store does not.
pub(super) fn subcommand(container: &str, name: &[u8]) -> Option<Absent> {
    let of_container = SUBCOMMANDS.iter().filter(|other| other.container == container);
    find(of_container.map(|Subcommand { names, instead, .. }| (*names, *instead)), name)
}

/// The names of all commands that Redis has and this store does not.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let names = ABSENT_FAMILIES.iter().flat_map(|family| family.names.split_ascii_whitespace());
    names.filter(|name| !name.ends_with('.'))
}

fn find(
    mut families: impl Iterator<Item = (&'static str, &'static str)>,
    name: &[u8],
) -> Option<Absent> {
    families.find_map(|(names, instead)| {
        let name = names.split_ascii_whitespace().find(|known| is(known, name))?;
        Some(Absent { name, instead })
    })
}

/// Tells whether this is the known name, or begins with it if it ends with a dot.
fn is(known: &str, name: &[u8]) -> bool {
    let compared = if known.ends_with('.') { name.get(..known.len()) } else { Some(name) };
    compared.is_some_and(|compared| compared.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_command_is_absent_twice_or_there_and_absent() {
        let absent: Vec<_> = names().collect();
        let unique: BTreeSet<_> = absent.iter().collect();
        assert_eq!(unique.len(), absent.len());
        let present: Vec<_> =
            super::super::names().filter(|name| command(name.as_bytes()).is_some()).collect();
        assert_eq!(present, [""; 0]);
    }

    #[test]
    fn names_are_known_in_any_case_and_whole_families_by_their_prefix() {
        let found = command(b"hGetAll").expect("Redis has hashes");
        assert_eq!(found.name, "HGETALL");
        assert!(command(b"json.set").is_some() && command(b"FT._LIST").is_some());
        assert_eq!(command(b"HGETALLL"), None);
        assert_eq!(command(b"JSON"), None);
        assert!(subcommand("CLIENT", b"kill").is_some());
        assert_eq!(subcommand("CONFIG", b"kill"), None);
    }
}

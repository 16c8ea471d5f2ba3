//! The registry of checks: from one list, the names that scenarios use, and one of each check, told
//! of everything in the order of the list.
//!
//! Checks are called directly and not through a table of pointers: a method that a check does not
//! have costs nothing.

/// Declares the checks of a run, each as `module::Type`.
macro_rules! registry {
    ($($module:ident::$Check:ident),+ $(,)?) => {
        /// The name of a property that runs are judged by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CheckName {
            $(
                #[doc = concat!("The check `", stringify!($module), "`.")]
                $Check,
            )+
        }

        impl CheckName {
            /// Every check, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$Check),+];

            /// The name in scenarios and reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Check => <$module::$Check as check::Check>::NAME,)+
                }
            }

            /// The check of this name.
            pub fn find(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|check| check.name() == name)
            }

            /// The promise that the check verifies, in one line.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$Check => <$module::$Check as check::Check>::ABOUT,)+
                }
            }

            /// True if some level of this version promises it, so that a scenario may name it.
            pub const fn is_promised(self) -> bool {
                match self {
                    $(Self::$Check => <$module::$Check as check::Check>::IS_PROMISED,)+
                }
            }
        }

        /// One of each check. Each method tells all of them.
        #[derive(Clone, Debug)]
        struct AllChecks {
            $($module: $module::$Check,)+
        }

        impl AllChecks {
            fn new(setting: &Setting) -> Self {
                Self { $($module: check::Check::new(setting),)+ }
            }

            fn findings(&self, name: CheckName) -> &Findings {
                match name {
                    $(CheckName::$Check => check::Check::findings(&self.$module),)+
                }
            }

            fn on_begin(&mut self, operation: &Operation) {
                $(check::Check::on_begin(&mut self.$module, operation);)+
            }

            fn on_end(&mut self, end: &mut OperationEnd<'_, impl WorldView>) {
                $(check::Check::on_end(&mut self.$module, end);)+
            }

            fn on_execution(&mut self, execution: &mut Execution<'_, impl WorldView>) {
                $(check::Check::on_execution(&mut self.$module, execution);)+
            }

            fn on_refusal_sent(&mut self, sent: &RefusalSent<'_, impl WorldView>) {
                $(check::Check::on_refusal_sent(&mut self.$module, sent);)+
            }

            fn on_read_reply(&mut self, sent: &ReadReplySent<'_, impl WorldView>) {
                $(check::Check::on_read_reply(&mut self.$module, sent);)+
            }

            fn on_minted(&mut self, mint: &WriteMint<'_>) {
                $(check::Check::on_minted(&mut self.$module, mint);)+
            }

            fn on_hints_dropped(&mut self, dropped: &HintsDropped<'_, impl WorldView>) {
                $(check::Check::on_hints_dropped(&mut self.$module, dropped);)+
            }

            fn on_hint_drop_reported(&mut self, reported: &HintDropReported<'_>) {
                $(check::Check::on_hint_drop_reported(&mut self.$module, reported);)+
            }

            fn on_gossip(&mut self, gossip: &GossipPassed<'_>) {
                $(check::Check::on_gossip(&mut self.$module, gossip);)+
            }

            fn on_event(&mut self, event: &NodeEvent<'_, impl WorldView>) {
                $(check::Check::on_event(&mut self.$module, event);)+
            }

            fn on_node_change(&mut self, change: &NodeChange) {
                $(check::Check::on_node_change(&mut self.$module, change);)+
            }

            fn on_load(&mut self, load: &NodeLoad<'_>) {
                $(check::Check::on_load(&mut self.$module, load);)+
            }

            fn before_loss(&mut self, loss: &mut KeyLoss<'_, impl WorldView>) {
                $(check::Check::before_loss(&mut self.$module, loss);)+
            }

            fn on_loss_learned(&mut self) {
                $(check::Check::on_loss_learned(&mut self.$module);)+
            }

            fn on_trusted(&mut self, trust: &Trust<'_, impl WorldView>) {
                $(check::Check::on_trusted(&mut self.$module, trust);)+
            }

            fn on_rest(&mut self, verdict: &RestVerdict<'_>) {
                $(check::Check::on_rest(&mut self.$module, verdict);)+
            }

            fn on_loss_accepted(&mut self) {
                $(check::Check::on_loss_accepted(&mut self.$module);)+
            }

            fn on_idle(&mut self, windows: [&IdleWindow; 2]) {
                $(check::Check::on_idle(&mut self.$module, windows);)+
            }

            fn at_end_of_key(&mut self, end: &KeyEnd<'_, impl WorldView>) {
                $(check::Check::at_end_of_key(&mut self.$module, end);)+
            }

            fn at_end(&mut self, end: &RunEnd<'_, impl WorldView>) {
                $(check::Check::at_end(&mut self.$module, end);)+
            }
        }
    };
}

pub(super) use registry;

//! Kernel settings under which packets that the XDP program hands to the network stack would be lost. The daemon calls
//! [`warnings`] at start.
//!
//! The stack gets a rewritten packet while no MAC address is known to send it to, and has to forward it. The program's
//! own look-up in the kernel's routing table needs forwarding as well.

use std::{fmt, fs, path::Path};

/// A setting that loses packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its name, as `sysctl` takes it.
    pub setting: String,
    /// Its value.
    pub value: u32,
    /// A value that mends it.
    pub wanted: u32,
    /// What comes of it.
    pub effect: &'static str,
    /// Does it lose every reply, and not only packets whose neighbour is not known?
    pub is_fatal: bool,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value, wanted, effect, .. } = self;
        write!(f, "{setting} is {value}: {effect}; to mend it: sysctl -w {setting}={wanted}")
    }
}

/// What stands in the way of packets that come in by these interfaces, those of IPv6 where `has_ipv6` says that there are
/// any. `proc` is where procfs is mounted.
///
/// An interface that doesn't exist has no settings and gets no warnings; whoever attaches to it says so.
pub fn warnings(proc: &Path, interfaces: &[String], has_ipv6: bool) -> Vec<Warning> {
    let settings = Settings(proc);
    let mut warnings = settings.forwarding("ipv4", "net.ipv4.ip_forward", interfaces);
    if has_ipv6 {
        warnings.extend(settings.forwarding("ipv6", "net.ipv6.conf.all.forwarding", interfaces));
    }
    for interface in interfaces {
        warnings.extend(settings.accept_local(interface));
        warnings.extend(settings.rp_filter(interface));
    }
    warnings
}

/// The settings below a procfs.
struct Settings<'a>(&'a Path);

impl Settings<'_> {
    /// Value of `net/NAME`, if there is such a setting.
    fn read(&self, name: &str) -> Option<u32> {
        fs::read_to_string(self.0.join("sys/net").join(name)).ok()?.trim().parse().ok()
    }

    /// The interface's value of a setting, and the value for all interfaces.
    fn of(&self, interface: &str, setting: &str) -> Option<(u32, u32)> {
        let all = self.read(&format!("ipv4/conf/all/{setting}"))?;
        Some((self.read(&format!("ipv4/conf/{interface}/{setting}"))?, all))
    }

    /// Only the interface's own value counts; writing `whole` writes that of every interface.
    fn forwarding(&self, family: &str, whole: &str, interfaces: &[String]) -> Vec<Warning> {
        let warning = |setting| Warning {
            setting,
            value: 0,
            wanted: 1,
            effect: "requests are lost while the MAC address of their backend is not known, and replies always",
            is_fatal: true,
        };
        let mut warnings: Vec<Warning> = interfaces
            .iter()
            .filter(|interface| self.read(&format!("{family}/conf/{interface}/forwarding")) == Some(0))
            .map(|interface| warning(name(family, interface, "forwarding")))
            .collect();
        let path = whole.trim_start_matches("net.").replace('.', "/");
        if !warnings.is_empty() && self.read(&path) == Some(0) {
            warnings = vec![warning(whole.to_owned())];
        }
        warnings
    }

    /// Either value allows it.
    fn accept_local(&self, interface: &str) -> Option<Warning> {
        let (own, all) = self.of(interface, "accept_local")?;
        (own == 0 && all == 0).then(|| Warning {
            setting: name("ipv4", interface, "accept_local"),
            value: 0,
            wanted: 1,
            effect: "where a VIP is an address of this node, replies are lost while the MAC address of their client \
                     or router is not known",
            is_fatal: false,
        })
    }

    /// The greater value counts, and 2 is the lenient one. The strict one refuses a VIP's packets from outside even with
    /// `accept_local`, since their route leads inside.
    fn rp_filter(&self, interface: &str) -> Option<Warning> {
        const STRICT: u32 = 1;
        const LOOSE: u32 = 2;
        let (own, all) = self.of(interface, "rp_filter")?;
        (own.max(all) == STRICT).then(|| Warning {
            setting: name("ipv4", interface, "rp_filter"),
            value: STRICT,
            wanted: LOOSE,
            effect: "packets that come in by another interface than their source's route are lost, and so are replies \
                     as with accept_local=0",
            is_fatal: false,
        })
    }
}

/// The setting's name: `sysctl` takes a slash for a dot that is part of an interface's name.
fn name(family: &str, interface: &str, setting: &str) -> String {
    format!("net.{family}.conf.{}.{setting}", interface.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A procfs of which `settings` is all there is.
    fn proc(settings: &[(&str, u32)]) -> TempDir {
        let root = TempDir::new().unwrap();
        for (setting, value) in settings {
            let file = match setting.strip_prefix("ipv6/") {
                Some(setting) => root.path().join("sys/net/ipv6").join(setting),
                None => root.path().join("sys/net/ipv4").join(setting),
            };
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{value}\n")).unwrap();
        }
        root
    }

    fn shown(settings: &[(&str, u32)], interface: &str) -> Vec<String> {
        let root = proc(settings);
        let warnings = warnings(root.path(), &[interface.to_owned()], false);
        warnings.iter().map(|warning| format!("{}={}", warning.setting, warning.wanted)).collect()
    }

    #[test]
    fn a_fit_machine_is_not_warned_of() {
        let fit = [
            ("ip_forward", 0),
            ("conf/eth0/forwarding", 1),
            ("conf/all/accept_local", 1),
            ("conf/eth0/accept_local", 0),
            ("conf/all/rp_filter", 2),
            ("conf/eth0/rp_filter", 1),
        ];
        assert!(shown(&fit, "eth0").is_empty());
        assert!(shown(&[], "eth0").is_empty());
    }

    #[test]
    fn forwarding_is_named_once_if_it_is_off_as_a_whole() {
        let root = proc(&[("ip_forward", 0), ("conf/a/forwarding", 0), ("conf/b/forwarding", 0)]);
        let warnings = warnings(root.path(), &["a".into(), "b".into()], false);
        assert_eq!(warnings.len(), 1);
        assert_eq!(
            warnings[0].to_string(),
            "net.ipv4.ip_forward is 0: requests are lost while the MAC address of their backend is not known, and \
             replies always; to mend it: sysctl -w net.ipv4.ip_forward=1"
        );
    }

    #[test]
    fn forwarding_is_named_by_interface_if_others_forward() {
        let settings = [("ip_forward", 1), ("conf/eth0.100/forwarding", 0)];
        assert_eq!(shown(&settings, "eth0.100"), ["net.ipv4.conf.eth0/100.forwarding=1"]);
    }

    #[test]
    fn forwarding_of_ipv6_is_asked_for_where_there_is_any() {
        let settings =
            [("conf/a/forwarding", 1), ("ipv6/conf/a/forwarding", 0), ("ipv6/conf/all/forwarding", 0)];
        let root = proc(&settings);
        let named = |has_ipv6| {
            let warnings = warnings(root.path(), &["a".into()], has_ipv6);
            warnings.into_iter().map(|warning| warning.setting).collect::<Vec<_>>()
        };
        assert_eq!(named(true), ["net.ipv6.conf.all.forwarding"]);
        assert!(named(false).is_empty());
        fs::write(root.path().join("sys/net/ipv6/conf/all/forwarding"), "1\n").unwrap();
        assert_eq!(named(true), ["net.ipv6.conf.a.forwarding"]);
    }

    #[test]
    fn what_refuses_local_sources_is_named() {
        let local = [("conf/all/accept_local", 0), ("conf/eth0/accept_local", 0)];
        assert_eq!(shown(&local, "eth0"), ["net.ipv4.conf.eth0.accept_local=1"]);
        let strict = [("conf/all/rp_filter", 1), ("conf/eth0/rp_filter", 0)];
        assert_eq!(shown(&strict, "eth0"), ["net.ipv4.conf.eth0.rp_filter=2"]);
    }
}

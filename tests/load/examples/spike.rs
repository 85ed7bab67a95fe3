use std::time::Duration;
use std::fs;
use anyhow::Result;
use siplb_lab::{Lab, topology::{CALLERS, VIP}};
use siplb_load::*;

fn mac(netns: &siplb_lab::Netns, i: &str) -> [u8; 6] {
    let text = netns.ip(&format!("-o link show {i}")).unwrap();
    let at = text.split("link/ether ").nth(1).unwrap();
    let v: Vec<u8> = at[..17].split(':').map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
    v.try_into().unwrap()
}

fn main() -> Result<()> {
    let lab = Lab::create("siplb-spike", 4)?;
    let t = lab.topology();
    let threaded = std::env::args().any(|a| a == "threaded");
    let mode = std::env::args().nth(1).unwrap();
    let mut p = Programs::load(&programs::objects())?;
    let ends = Ends { from_mac: mac(&t.client, "eth0"), to_mac: mac(&t.node, "c0"), from: CALLERS, vip: VIP };
    let messages = Messages::mixed(&ends);
    let to: Vec<_> = if mode == "plain" { t.backends.iter().map(|h| h.address).collect() } else { vec![VIP] };
    p.aim(&t.client, "eth0", &messages, 10_000, 4, &to)?;
    let mut on = Vec::new();
    if mode == "sink" { on.push(p.sink_on(&t.node, "c0")?); } else {
        for h in &t.backends { on.push(p.sink_on(&h.netns, "eth0")?); }
        if mode == "wire" { on.push(p.wire_on(&t.node, "c0", &t.backends.iter().map(|h| h.name.clone()).collect::<Vec<_>>())?); }
    }
    if threaded {
        t.node.run(|| { let out = std::process::Command::new("sh").arg("-c").arg("mount -t sysfs s /mnt && echo 1 > /mnt/class/net/c0/threaded; umount /mnt; ps -eLo pid,comm | grep napi/ ; for p in $(ps -eLo pid,comm | grep napi/c0 | awk '{print $1}'); do taskset -pc 1 $p; done").output()?; println!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)); Ok(()) })?;
    }
    let idle = Idle::watch(2)?;
    let r = |per_second: f64, burst| Pace::Rate { per_second, burst };
    for pace in [r(100.0, 1), r(20_000.0, 1), r(20_000.0, 16), r(100_000.0, 1), r(100_000.0, 16), r(100_000.0, 64), r(400_000.0, 1), r(400_000.0, 16), r(800_000.0, 16), r(1_200_000.0, 32),  Pace::Highest] {
        p.begin(false)?;
        let before = p.count()?;
        let (u, s) = (idle.used(), Stat::now()?);
        let o = p.offer(&t.client, 0, pace, Duration::from_secs(1))?;
        std::thread::sleep(Duration::from_millis(50));
        let used = idle.used().since(&u);
        let stat = Stat::now()? - s;
        let after = p.count()?;
        let l = &after.latencies - &before.latencies;
        let total = used.iter().sum::<u64>() - o.waited.as_nanos() as u64; println!("{pace:?}: waited {:?} sent {} = {:.0}/s arrived {} again {} late {} foreign {}; used {:?} ms = {} ns each; stat {} ns each {stat:?}; p50 {:.0} p99 {:.0}", o.waited, o.sent, o.per_second(),
            after.arrived.first - before.arrived.first, after.arrived.again - before.arrived.again, after.arrived.late, after.arrived.foreign - before.arrived.foreign, used.iter().map(|u| u/1_000_000).collect::<Vec<_>>(), total / o.sent.max(1), (stat.busy_ns().saturating_sub(o.waited.as_nanos() as u64))/o.sent.max(1), l.quantile(0.5).unwrap_or(0.0), l.quantile(0.99).unwrap_or(0.0));
    }
    let _ = fs::metadata("/");
    Ok(())
}

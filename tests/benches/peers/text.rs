//! How it is measured, and who is missing: the sentences of the report that no figure decides.

/// The method, in paragraphs.
pub(crate) fn method() -> Vec<String> {
    [
        "Each contender stands on a node of its own, between a client and four servers, in network namespaces joined by veth \
         pairs (`tests/lab`). All stand at the same time; in every round each has its turn.",
        "The generator is an XDP program that makes live frames in test runs of the kernel (`BPF_PROG_TEST_RUN` with \
         `BPF_F_TEST_XDP_LIVE_FRAMES`): it copies one of 16 messages, writes user, source port, number and time into it, and \
         redirects it to the client's interface. It waits between frames by the clock, so that rates are even. Messages have \
         headers of 600 bytes and a body of 32: of 16, 8 are INVITEs for 10,000 users of the own domain, 5 REGISTERs and 3 \
         BYEs whose Route names a server. Each user has a source port of his own. Number and time stand at the end of the \
         body, where a proxy's Via doesn't move them.",
        "The sink is an XDP program on each server's interface: it has a bit for each number, counts what comes twice or late, \
         adds latencies to a histogram whose buckets are a sixteenth wide, and drops the frame. For siplb and Kamailio it \
         holds all requests of a user that don't belong to a dialog to one server; for siplb also BYEs to the server that \
         they name, and some users to what `siplb lookup` says. Routing, NAT and nginx have no such rule.",
        "The bare wire is an XDP program on the node that hands each frame to the next server's interface unread. What a \
         contender costs more than the wire is its own: everything between the receipt of a frame and its leaving. Plain \
         routing's own is the kernel's forwarding, from a frame to a socket buffer and out by another interface.",
        "The aims are that siplb's own is at most a tenth of plain routing's own, and at most a hundredth of Kamailio's. What the \
         whole machine spends on a request, with generator, wires and sink, stands in a figure of its own, with what is added \
         over plain routing.",
        "CPU time a request is that of the whole machine. Veth delivers on the CPU that sends, so all that happens in the \
         kernel happens on the generator's CPU (0), before it waits for its next frame; the time that it does not wait is \
         counted, by its own clock, softirqs included. Bursts after which 50 µs and 5 for each frame were gone, because a \
         process or the hypervisor had the CPU, don't count. To that comes what the scheduler has given to the contender's processes, \
         which are bound to CPU 1. This kernel has no CONFIG_IRQ_TIME_ACCOUNTING: /proc/stat is samples of a clock tick. A \
         finding sets both beside a thread that runs on CPU 1 only when nobody else does and notes the gaps.",
        "The highest rate is looked for by doubling and then between the last good and the first bad, in steps of 0.4 seconds \
         and to 8 %; nothing at all may be lost, and each step has a second try. There a thread polls the node's interface \
         towards the client (threaded NAPI), bound to CPU 1 with the contender's processes, so that the generator's CPU does \
         none of their work. It is the rate of one CPU. Generator, that thread and the contenders' processes run as \
         SCHED_FIFO, all with one priority: what else the machine does is not to decide. Rings are veth's 256 frames, and socket buffers the programs' own \
         choice.",
        "Plain routing: IPv4 forwarding; the client itself shares users out over the servers. nftables DNAT: a NAT rule by a \
         hash of source address and port, with connection tracking, as one writes it. nftables without conntrack: the same \
         hash, `notrack`, and the address rewritten packet by packet; the way back would need another rule. nginx stream: one \
         worker, `hash $remote_addr:$remote_port`, `proxy_responses 0`, no log. Kamailio: `tests/kamailio/dispatcher.cfg`, two \
         children, `ds_select_dst` by a hash of the user and `forward()`, no log, no transactions. siplb: the released binary \
         with native XDP, its daemon checking the servers once a second.",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Who was looked for, and why he is not measured.
pub(crate) fn looked_for() -> Vec<String> {
    [
        "Not measured, for want of kernel support: IPVS (`ipvsadm` is in Debian; this kernel has no CONFIG_IP_VS).",
        "Not measured, for want of a package: OpenSIPS (not in Debian 12, nor under that name in npm), repro of reSIProcate (not in \
         Debian 12), Katran and loxilb (not in Debian 12, nor among PyPI's names; they hash addresses and ports, not users). \
         crates.io was not searched.",
        "Not measured, because others stand for it: nftlb (writes nftables rules), pen (hands on datagrams by client, as nginx \
         does).",
        "Not measured, because it is no balancer of SIP over UDP: HAProxy (no UDP), dnsdist (DNS alone).",
    ]
    .map(str::to_owned)
    .to_vec()
}

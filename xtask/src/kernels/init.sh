#!/bin/busybox sh
# The first process of the machine that `cargo xtask test kernels` boots: runs the tests, says how each ended, switches off.
# Lines that begin with `guest: ` are read by machine.rs.
PATH=/bin
B=/bin/busybox
IP=/bin/ip # by its path, or the shell takes an `ip` of its own
$B mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t bpf bpf /sys/fs/bpf
$B mount -t tmpfs tmp /tmp
for module in /modules/*; do $B insmod "$module"; done
# Fewer damaged messages than elsewhere: the machine is emulated.
export PATH SIPLB_MUTATIONS=1000 RUST_LOG_STYLE=never

# try NAME COMMAND...: a test.
try() {
    name=$1
    shift
    echo "guest: begins $name"
    "$@"
    echo "guest: ended $name $?"
}

# The daemon loads, attaches natively, pins, is adopted by the next one, explains, and detaches.
daemon() {
    $IP link set lo up
    $IP link add in0 type veth peer name in1 && $IP link set in0 up && $IP link set in1 up || return 1
    $B cat >/tmp/siplb.toml <<'TOML'
vip = [{ address = "192.0.2.10", pool = "registrars" }]

[node]
interfaces = ["in0"]
hash-key = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

[[pool]]
name = "registrars"
backend = [{ name = "a1", address = "10.0.0.11" }, { name = "b1", address = "10.0.0.12" }]
TOML
    printf 'OPTIONS sip:alice@example.com SIP/2.0\r\nTo: <sip:alice@example.com>\r\nCall-ID: 1\r\n\r\n' >/tmp/message
    for life in first second; do
        siplb run -c /tmp/siplb.toml &
        answer=
        for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            answer=$(siplb status --json 2>/dev/null) && break
            $B sleep 1
        done
        case $answer in *'"scan_loop":"bpf_loop"'*) ;; *) echo "status: $answer"; return 1 ;; esac
        answer=$(siplb explain --payload /tmp/message --json)
        case $answer in *'"verdict":"forward"'*) ;; *) echo "explain: $answer"; return 1 ;; esac
        $B kill $!
        wait $!
        $IP link show in0 | $B grep -q 'xdp' || { echo "the $life daemon took its program away"; return 1; }
    done
    siplb detach -c /tmp/siplb.toml && ! $IP link show in0 | $B grep -q 'xdp'
}

echo "guest: Linux $($B uname -r), up $($B cut -d' ' -f1 /proc/uptime) s"
try daemon daemon
for test in /tests/*; do
    try "${test##*/}" "$test"
done
echo "guest: done"
$B poweroff -f

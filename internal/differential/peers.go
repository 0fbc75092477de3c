package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/iterdns/iterdns/internal/realserver"
)

// peer is a resolver of other authors.
type peer struct {
	name      string
	program   string
	port      uint16 // of 127.0.0.1 in the namespace
	files     func(setting) map[string]string
	arguments []string
}

// setting is what all resolvers are told. Anchor is a DS record in zone-file syntax.
type setting struct {
	dir    string
	listen netip.AddrPort
	anchor []string // the fields of a DS record's data
}

// Files of every peer's directory.
const (
	hintsFile  = "hints.zone"
	configFile = "config"
)

func peers() []peer {
	return []peer{
		{"Unbound", "unbound", 5301, unboundFiles, []string{"-d", "-c", configFile}},
		{"BIND", "named", 5302, bindFiles, []string{"-4", "-g", "-n", "1", "-c", configFile}},
		{"Knot Resolver", "kresd", 5303, knotFiles, []string{"-n", "-q", "-c", configFile, "."}},
		{"PowerDNS", "pdns_recursor", 5304, powerFiles, []string{"--config-dir=."}},
	}
}

func (p peer) addr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.port)
}

// start runs the peer in a directory of its own below dir until the program ends.
func (p peer) start(dir, hints string, anchor []string) (*realserver.Process, error) {
	dir = filepath.Join(dir, p.program)
	if err := os.RemoveAll(dir); err != nil { // a cache of another world
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	files := p.files(setting{dir: dir, listen: p.addr(), anchor: anchor})
	files[hintsFile] = hints
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return realserver.Run(dir, p.program, p.arguments...)
}

// What is set beside address, hints and anchor: IPv4 only; no remote control; leave to
// ask documentation addresses; failures kept as briefly as possible, since differing
// questions are asked again.

func unboundFiles(s setting) map[string]string {
	return map[string]string{configFile: fmt.Sprintf(`server:
	directory: %[1]q
	interface: %[2]s@%[3]d
	access-control: 127.0.0.0/8 allow
	chroot: ""
	username: ""
	pidfile: ""
	use-syslog: no
	logfile: ""
	do-daemonize: no
	do-ip6: no
	num-threads: 1
	root-hints: %[4]q
	trust-anchor: ". DS %[5]s"
	module-config: "validator iterator"
	val-bogus-ttl: 1
	outgoing-range: 4096
	num-queries-per-thread: 2048
remote-control:
	control-enable: no
`, s.dir, s.listen.Addr(), s.listen.Port(), hintsFile, strings.Join(s.anchor, " "))}
}

func bindFiles(s setting) map[string]string {
	return map[string]string{configFile: fmt.Sprintf(`options {
	directory %[1]q;
	listen-on port %[3]d { %[2]s; };
	listen-on-v6 { none; };
	pid-file none;
	lock-file none;
	session-keyfile none;
	recursion yes;
	allow-query { any; };
	allow-recursion { any; };
	allow-query-cache { any; };
	dnssec-validation yes;
	empty-zones-enable no;
	notify no;
	servfail-ttl 0;
	recursive-clients 10000;
};
trust-anchors { . static-ds %[5]s %[6]s %[7]s "%[8]s"; };
controls { };
zone "." { type hint; file %[4]q; };
`, s.dir, s.listen.Addr(), s.listen.Port(), hintsFile, s.anchor[0], s.anchor[1], s.anchor[2], s.anchor[3])}
}

// knotFiles: its own list of special names would keep test names from being asked for.
func knotFiles(s setting) map[string]string {
	return map[string]string{configFile: fmt.Sprintf(`net.listen('%[1]s', %[2]d, { kind = 'dns' })
net.ipv6 = false
modules = { 'hints > iterate' }
hints.root_file('%[3]s')
trust_anchors.remove('.')
trust_anchors.add('. IN DS %[4]s')
cache.open(200 * MB, 'lmdb://%[5]s/cache')
log_level('warning')
`, s.listen.Addr(), s.listen.Port(), hintsFile, strings.Join(s.anchor, " "), s.dir)}
}

func powerFiles(s setting) map[string]string {
	return map[string]string{
		"anchor.lua": fmt.Sprintf("clearTA('.')\naddTA('.', %q)\n", strings.Join(s.anchor, " ")),
		"recursor.conf": fmt.Sprintf(`local-address=%[1]s
local-port=%[2]d
allow-from=127.0.0.0/8
dont-query=
hint-file=%[3]s
dnssec=validate
lua-config-file=%[4]s/anchor.lua
threads=1
pdns-distributes-queries=no
daemon=no
disable-syslog=yes
quiet=yes
loglevel=3
socket-dir=%[4]s
security-poll-suffix=
packetcache-servfail-ttl=1
max-cache-bogus-ttl=1
setuid=
setgid=
`, s.listen.Addr(), s.listen.Port(), hintsFile, s.dir),
	}
}

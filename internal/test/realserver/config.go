package realserver

import (
	"fmt"
	"net/netip"
	"strings"
)

// configFile is the name of the generated configuration in the server's directory.
const configFile = "server.conf"

// hostedZone is a zone as the configuration sees it: its origin without the
// trailing dot (the root is "."), and the zone file in the server's directory.
type hostedZone struct {
	origin string
	file   string
}

// arguments returns the command line that runs the product in the foreground,
// with its log on standard error.
func (p Product) arguments(config string) []string {
	switch p {
	case NSD:
		return []string{"-d", "-c", config}
	case Knot:
		return []string{"-c", config}
	case BIND:
		// One worker: the tests measure the resolver, not the server. -g would
		// be the same as -f with the log on standard error.
		return []string{"-g", "-4", "-n", "1", "-c", config}
	}
	return nil
}

// config returns the product's configuration for zones served at addrs, with all
// files in dir.
func (p Product) config(dir string, addrs []netip.AddrPort, files TLS, zones []hostedZone) string {
	switch p {
	case NSD:
		return nsdConfig(dir, addrs, files, zones)
	case Knot:
		return knotConfig(dir, addrs, zones)
	case BIND:
		return bindConfig(dir, addrs, files, zones)
	}
	return ""
}

// nsdConfig turns the rate limit off, which Debian builds in with 200 answers a
// second, and lets NSD answer ANY in full.
func nsdConfig(dir string, addrs []netip.AddrPort, files TLS, zones []hostedZone) string {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
%[2]s	server-count: 1
	username: ""
	zonesdir: %[1]q
	database: ""
	pidfile: "%[1]s/nsd.pid"
	xfrdfile: "%[1]s/xfrd.state"
	xfrdir: %[1]q
	zonelistfile: "%[1]s/zone.list"
	refuse-any: no
	rrl-ratelimit: 0
	rrl-whitelist-ratelimit: 0
`, dir, eachAddr(addrs, "\tip-address: %s@%d\n"))
	if files.CertFile != "" {
		fmt.Fprintf(&b, "\tip-address: %s@%d\n\ttls-port: %[2]d\n\ttls-service-pem: %q\n\ttls-service-key: %q\n",
			files.addr.Addr(), files.addr.Port(), files.CertFile, files.KeyFile)
	}
	b.WriteString("remote-control:\n\tcontrol-enable: no\n")
	for _, z := range zones {
		fmt.Fprintf(&b, "zone:\n\tname: %q\n\tzonefile: %q\n\tprovide-xfr: 127.0.0.0/8 NOKEY\n", z.origin, z.file)
	}
	return b.String()
}

// knotConfig keeps no journal, so that nothing but the zone file is served.
func knotConfig(dir string, addrs []netip.AddrPort, zones []hostedZone) string {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
    rundir: %[1]q
    pidfile: "%[1]s/knot.pid"
%[2]s    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: "%[1]s/knot.sock"
database:
    storage: "%[1]s/db"
log:
  - target: stderr
    any: info
acl:
  - id: all
    address: 127.0.0.0/8
    action: transfer
template:
  - id: default
    acl: all
    storage: %[1]q
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
`, dir, eachAddr(addrs, "    listen: %s@%d\n"))
	for _, z := range zones {
		fmt.Fprintf(&b, "  - domain: %q\n    file: %q\n", z.origin, z.file)
	}
	return b.String()
}

// bindConfig makes named authoritative only: no recursion, no empty zones of its
// own, no key files or control channel of the host.
func bindConfig(dir string, addrs []netip.AddrPort, files TLS, zones []hostedZone) string {
	var b strings.Builder
	listenTLS := ""
	if files.CertFile != "" {
		fmt.Fprintf(&b, "tls own { cert-file %q; key-file %q; };\n", files.CertFile, files.KeyFile)
		listenTLS = fmt.Sprintf("\tlisten-on port %d tls own { %s; };\n", files.addr.Port(), files.addr.Addr())
	}
	fmt.Fprintf(&b, `options {
	directory %[1]q;
%[2]s%[3]s	listen-on-v6 { none; };
	pid-file none;
	lock-file none;
	session-keyfile none;
	recursion no;
	allow-query { any; };
	allow-transfer { any; };
	dnssec-validation no;
	empty-zones-enable no;
	minimal-any no;
	notify no;
};
controls { };
`, dir, eachAddr(addrs, "\tlisten-on port %[2]d { %[1]s; };\n"), listenTLS)
	for _, z := range zones {
		fmt.Fprintf(&b, "zone %q { type primary; file %q; };\n", z.origin, z.file)
	}
	return b.String()
}

// eachAddr writes a line of a configuration for each address.
func eachAddr(addrs []netip.AddrPort, format string) string {
	var b strings.Builder
	for _, a := range addrs {
		fmt.Fprintf(&b, format, a.Addr(), a.Port())
	}
	return b.String()
}

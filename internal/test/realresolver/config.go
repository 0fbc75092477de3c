package realresolver

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/iterdns/iterdns/dnssec"
)

// Setting is the configuration of a resolver. Besides the address to listen at it needs hints or
// upstreams: without them it would ask the servers of the public root.
type Setting struct {
	// Listen is where it answers, over UDP and TCP.
	Listen netip.AddrPort

	// Hints are the root's servers as a zone file.
	Hints string

	// Anchors are the trust anchors, DS records, in place of those that are built in.
	Anchors []dnssec.Anchor

	// Upstreams are asked instead of the servers that delegations and hints name. Only
	// Only Unbound and Knot Resolver are configured with them.
	Upstreams []Upstream

	// Extra is added to the configuration in the product's own language: inside the section
	// of the server, or the options, where there is one.
	Extra string
}

// Upstream is the server for names at and below a zone: a resolver, or an authoritative
// server. Knot Resolver, which does not validate replies of the latter, takes either for a
// resolver.
type Upstream struct {
	Zone          string
	Addr          netip.AddrPort
	Authoritative bool
}

// Files of every resolver's directory.
const (
	configFile = "resolver.conf"
	hintsFile  = "hints.zone"
	anchorFile = "anchors.lua" // PowerDNS only
)

// files returns the product's files, all in dir, by name.
func (p Product) files(dir string, s *Setting) map[string]string {
	files := map[string]string{hintsFile: s.Hints}
	switch p {
	case Unbound:
		files[configFile] = unboundConfig(dir, s)
	case BIND:
		files[configFile] = bindConfig(dir, s)
	case KnotResolver:
		files[configFile] = knotConfig(dir, s)
	case PowerDNS:
		files["recursor.conf"] = powerConfig(dir, s) // the name that it looks for
		files[anchorFile] = powerAnchors(s)
	}
	return files
}

func unboundConfig(dir string, s *Setting) string {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
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
	module-config: "validator iterator"
`, dir, s.Listen.Addr(), s.Listen.Port())
	if s.Hints != "" {
		fmt.Fprintf(&b, "\troot-hints: %q\n", hintsFile)
	}
	if len(s.Upstreams) > 0 {
		b.WriteString("\tdo-not-query-localhost: no\n")
	}
	for _, a := range s.Anchors {
		fmt.Fprintf(&b, "\ttrust-anchor: %q\n", strings.Join(fields(a), " "))
	}
	fmt.Fprintf(&b, "%s\nremote-control:\n\tcontrol-enable: no\n", s.Extra)
	kind := map[bool]string{false: "forward", true: "stub"}
	for _, u := range s.Upstreams {
		fmt.Fprintf(&b, "%[1]s-zone:\n\tname: %[2]q\n\t%[1]s-addr: %[3]s@%[4]d\n", kind[u.Authoritative], u.Zone, u.Addr.Addr(), u.Addr.Port())
	}
	return b.String()
}

// fields returns the parts of a trust anchor's record: owner, TTL, class, type, and data.
func fields(a dnssec.Anchor) []string { return strings.Fields(a.String()) }

func bindConfig(dir string, s *Setting) string {
	var b strings.Builder
	fmt.Fprintf(&b, `options {
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
	%[5]s
};
controls { };
zone "." { type hint; file %[4]q; };
`, dir, s.Listen.Addr(), s.Listen.Port(), hintsFile, s.Extra)
	for _, a := range s.Anchors {
		ds := fields(a)[4:]
		fmt.Fprintf(&b, "trust-anchors { %q static-ds %s %s %s %q; };\n", a.Zone(), ds[0], ds[1], ds[2], ds[3])
	}
	return b.String()
}

// knotConfig refuses what is for no upstream, or the resolver would look for the public
// root by itself when it starts.
func knotConfig(dir string, s *Setting) string {
	var b strings.Builder
	fmt.Fprintf(&b, `net.listen('%s', %d, { kind = 'dns' })
net.ipv6 = false
cache.open(10 * MB, 'lmdb://%s/cache')
log_level('warning')
trust_anchors.remove('.')
`, s.Listen.Addr(), s.Listen.Port(), dir)
	for _, a := range s.Anchors {
		fmt.Fprintf(&b, "trust_anchors.add([[%s]])\n", a)
	}
	if s.Hints != "" {
		fmt.Fprintf(&b, "modules = { 'hints > iterate' }\nhints.root_file('%s')\n", hintsFile)
	}
	for _, u := range s.Upstreams {
		fmt.Fprintf(&b, "policy.add(policy.suffix(policy.FORWARD('%s@%d'), policy.todnames({'%s'})))\n", u.Addr.Addr(), u.Addr.Port(), u.Zone)
	}
	if len(s.Upstreams) > 0 {
		b.WriteString("policy.add(policy.all(policy.REFUSE))\n")
	}
	return b.String() + s.Extra + "\n"
}

func powerConfig(dir string, s *Setting) string {
	return fmt.Sprintf(`local-address=%[1]s
local-port=%[2]d
allow-from=127.0.0.0/8
dont-query=
hint-file=%[3]s
dnssec=validate
lua-config-file=%[4]s/%[5]s
threads=1
pdns-distributes-queries=no
daemon=no
disable-syslog=yes
quiet=yes
loglevel=3
socket-dir=%[4]s
security-poll-suffix=
setuid=
setgid=
%[6]s
`, s.Listen.Addr(), s.Listen.Port(), hintsFile, dir, anchorFile, s.Extra)
}

// powerAnchors has the trust anchors, which PowerDNS reads in Lua only.
func powerAnchors(s *Setting) string {
	var b strings.Builder
	b.WriteString("clearTA('.')\n")
	for _, a := range s.Anchors {
		fmt.Fprintf(&b, "addTA('%s', %q)\n", a.Zone(), strings.Join(fields(a)[4:], " "))
	}
	return b.String()
}

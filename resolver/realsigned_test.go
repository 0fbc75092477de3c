package resolver_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/realserver"
	"github.com/iterdns/iterdns/resolver"
)

// needProgram finds a program, skips the test where it is not installed, and fails it
// where CI ought to have installed it.
func needProgram(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and CI must not skip this test", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// run runs a program in dir and gives what it prints.
func run(t *testing.T, dir, program string, arguments ...string) string {
	t.Helper()
	cmd := exec.Command(program, arguments...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(arguments, " "), err, stderr.String())
	}
	return stdout.String()
}

// signer is a product that signs zones.
type signer struct {
	name       string
	programs   []string
	algorithms map[uint8]string // by what the product calls them
	sign       func(t *testing.T, dir string, z *realSigned, algorithm string) string
}

// realSigned is a zone that a product has signed.
type realSigned struct {
	origin    string
	algorithm uint8
	denial    string // "nsec", "nsec3" or "optout"
	product   realserver.Product
	text      string   // signed
	anchors   []string // its key signing keys
}

func signers() []signer {
	rsa := func(names ...string) map[uint8]string {
		all := make(map[uint8]string)
		for i, number := range []uint8{5, 7, 8, 10, 13, 14, 15, 16} {
			all[number] = names[i]
		}
		return all
	}
	return []signer{
		{"bind", []string{"dnssec-keygen", "dnssec-signzone"}, rsa("RSASHA1", "NSEC3RSASHA1", "RSASHA256", "RSASHA512",
			"ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519", "ED448"), signWithBIND},
		{"knot", []string{"kzonesign"}, rsa("rsasha1", "rsasha1-nsec3-sha1", "rsasha256", "rsasha512",
			"ecdsap256sha256", "ecdsap384sha384", "ed25519", "ed448"), signWithKnot},
		{"ldns", []string{"ldns-keygen", "ldns-signzone"}, rsa("RSASHA1", "RSASHA1-NSEC3-SHA1", "RSASHA256", "RSASHA512",
			"ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519", "ED448"), signWithLDNS},
	}
}

const zoneFile = "unsigned.zone"

func signWithBIND(t *testing.T, dir string, z *realSigned, algorithm string) string {
	keygen, signzone := needProgram(t, "dnssec-keygen"), needProgram(t, "dnssec-signzone")
	for _, role := range [][]string{{"-f", "KSK"}, nil} {
		arguments := append([]string{"-q", "-a", algorithm}, role...)
		if z.algorithm <= 10 {
			arguments = append(arguments, "-b", "2048")
		}
		run(t, dir, keygen, append(arguments, z.origin)...)
	}
	arguments := []string{"-q", "-S", "-x", "-o", z.origin, "-f", "signed.zone"}
	if z.denial != "nsec" {
		arguments = append(arguments, "-3", "-")
	}
	if z.denial == "optout" {
		arguments = append(arguments, "-A")
	}
	run(t, dir, signzone, append(arguments, zoneFile)...)
	return readFile(t, dir, "signed.zone")
}

func signWithKnot(t *testing.T, dir string, z *realSigned, algorithm string) string {
	on := map[bool]string{true: "on", false: "off"}
	config := fmt.Sprintf(`server:
    rundir: %[1]q
database:
    storage: "%[1]s/db"
policy:
  - id: p
    algorithm: %[2]s
    nsec3: %[3]s
    nsec3-opt-out: %[4]s
    nsec3-iterations: 0
    nsec3-salt-length: 0
zone:
  - domain: %[5]s
    storage: %[1]q
    file: %[6]s
    dnssec-signing: on
    dnssec-policy: p
`, dir, algorithm, on[z.denial != "nsec"], on[z.denial == "optout"], z.origin, zoneFile)
	for _, sub := range []string{"db", "out"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, dir, "knot.conf", config)
	run(t, dir, needProgram(t, "kzonesign"), "-c", "knot.conf", "-o", filepath.Join(dir, "out"), z.origin)
	files, err := filepath.Glob(filepath.Join(dir, "out", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("kzonesign wrote %v, %v", files, err)
	}
	return readFile(t, filepath.Dir(files[0]), filepath.Base(files[0]))
}

func signWithLDNS(t *testing.T, dir string, z *realSigned, algorithm string) string {
	keygen, signzone := needProgram(t, "ldns-keygen"), needProgram(t, "ldns-signzone")
	bits := []string{}
	if z.algorithm <= 10 {
		bits = []string{"-b", "2048"}
	}
	arguments := []string{"-o", strings.TrimSuffix(z.origin, "."), "-f", "signed.zone"}
	if z.denial != "nsec" {
		arguments = append(arguments, "-n", "-t", "0")
	}
	if z.denial == "optout" {
		arguments = append(arguments, "-p")
	}
	arguments = append(arguments, zoneFile)
	for _, role := range [][]string{{"-k"}, nil} {
		key := run(t, dir, keygen, slices.Concat([]string{"-a", algorithm}, bits, role, []string{z.origin})...)
		arguments = append(arguments, strings.TrimSpace(key))
	}
	run(t, dir, signzone, arguments...)
	return readFile(t, dir, "signed.zone")
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// realSignedAddr is where a product answers for signed zones, as far as the zones say.
func realSignedAddr(p realserver.Product) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 51, 100, 10 + byte(p)})
}

// unsignedText is the zone before it is signed. The address of "bad" is changed after.
func (z *realSigned) unsignedText() string {
	return fmt.Sprintf(`$ORIGIN %s
$TTL 300
@        SOA   ns hostmaster 1 3600 600 604800 300
@        NS    ns
ns       A     %s
www      A     192.0.2.80
bad      A     %s
*.wild   A     192.0.2.81
leaf.ent A     192.0.2.82
alias    CNAME www
old      DNAME new
www.new  A     192.0.2.83
plain    NS    ns
plain2   NS    ns
`, z.origin, realSignedAddr(z.product), goodAddress)
}

const goodAddress, badAddress = "192.0.2.66", "192.0.2.67"

// isWork reports whether the algorithm can go with the denial: the first that signed did
// not know NSEC3 (RFC 5155 §2).
func (z *realSigned) isWork() bool { return z.algorithm != 5 || z.denial == "nsec" }

// signAll signs zones in all ways that the products have, and serves them in turns by
// those that serve zones.
func signAll(t *testing.T) []*realSigned {
	t.Helper()
	var zones []*realSigned
	products := realserver.Products()
	for _, s := range signers() {
		for _, program := range s.programs {
			needProgram(t, program)
		}
		for _, algorithm := range []uint8{5, 7, 8, 10, 13, 14, 15, 16} {
			for _, denial := range []string{"nsec", "nsec3", "optout"} {
				z := &realSigned{
					origin:    fmt.Sprintf("%s-%d-%s.example.", s.name, algorithm, denial),
					algorithm: algorithm, denial: denial, product: products[len(zones)%len(products)],
				}
				if !z.isWork() || denial == "optout" && algorithm != 8 && algorithm != 13 {
					continue
				}
				dir := t.TempDir()
				writeFile(t, dir, zoneFile, z.unsignedText())
				z.text = strings.ReplaceAll(s.sign(t, dir, z, s.algorithms[algorithm]), goodAddress, badAddress)
				z.readAnchors(t)
				zones = append(zones, z)
			}
		}
	}
	return zones
}

// readAnchors finds the zone's key signing keys.
func (z *realSigned) readAnchors(t *testing.T) {
	t.Helper()
	parser := dns.NewZoneParser(strings.NewReader(z.text), z.origin, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if key, isKey := rr.(*dns.DNSKEY); isKey && key.Flags == dns.ZONE|dns.SEP {
			z.anchors = append(z.anchors, strings.ReplaceAll(key.ToDS(dns.SHA256).String(), "\t", " "))
		}
	}
	if err := parser.Err(); err != nil || len(z.anchors) == 0 {
		t.Fatalf("%s: %d key signing keys, %v", z.origin, len(z.anchors), err)
	}
}

// realSignedQuestion is a question about each zone, $, and what validation has to say.
type realSignedQuestion struct {
	kind, name string
	qtype      uint16
	rcode      int
	ad         bool
}

func (z *realSigned) questions() []realSignedQuestion {
	full := z.denial != "optout" // else nonexistence is not certain, RFC 5155 §9.2
	// ldns sets the flag, but leaves no delegation out.
	noDS := full || strings.HasPrefix(z.origin, "ldns")
	return []realSignedQuestion{
		{"positive", "www.$", dns.TypeA, dns.RcodeSuccess, true},
		{"changed", "bad.$", dns.TypeA, dns.RcodeServerFailure, false},
		{"NODATA", "www.$", dns.TypeMX, dns.RcodeSuccess, true},
		{"NODATA at the apex", "$", dns.TypeMX, dns.RcodeSuccess, true},
		{"NXDOMAIN", "missing.$", dns.TypeA, dns.RcodeNameError, full},
		{"NXDOMAIN, deep", "a.b.missing.$", dns.TypeA, dns.RcodeNameError, full},
		{"empty non-terminal", "ent.$", dns.TypeA, dns.RcodeSuccess, true},
		{"below it", "leaf.ent.$", dns.TypeA, dns.RcodeSuccess, true},
		{"wildcard", "a.wild.$", dns.TypeA, dns.RcodeSuccess, full},
		{"wildcard, deep", "a.b.wild.$", dns.TypeA, dns.RcodeSuccess, full},
		{"wildcard NODATA", "a.wild.$", dns.TypeMX, dns.RcodeSuccess, full},
		{"CNAME", "alias.$", dns.TypeA, dns.RcodeSuccess, true},
		{"DNAME", "www.old.$", dns.TypeA, dns.RcodeSuccess, true},
		{"no DS", "plain.$", dns.TypeDS, dns.RcodeSuccess, noDS},
		{"unsigned child", "www.plain.$", dns.TypeA, dns.RcodeSuccess, false},
		{"keys", "$", dns.TypeDNSKEY, dns.RcodeSuccess, true},
		{"SOA", "$", dns.TypeSOA, dns.RcodeSuccess, true},
	}
}

// verdict is what a client of a validating resolver is told.
type verdict struct {
	rcode int
	ad    bool
}

func (v verdict) String() string {
	if v.ad {
		return dns.RcodeToString[v.rcode] + " AD"
	}
	return dns.RcodeToString[v.rcode]
}

func verdictQuery(name string, qtype uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, qtype).SetEdns0(1232, true)
}

// realSignedWorld is the signed zones on their servers.
type realSignedWorld struct {
	zones  []*realSigned
	addrs  map[realserver.Product]netip.AddrPort
	router *realserver.Router
}

// newRealSignedWorld signs the zones and starts the servers. The root above them is not
// signed: the trust anchors are at the zones.
func newRealSignedWorld(t *testing.T) *realSignedWorld {
	t.Helper()
	realserver.Need(t, realserver.Products()...)
	w := &realSignedWorld{zones: signAll(t), addrs: make(map[realserver.Product]netip.AddrPort)}
	hosted := make(map[realserver.Product][]realserver.Zone)
	var root strings.Builder
	root.WriteString("$TTL 300\n. SOA ns. hostmaster. 1 3600 600 604800 300\n. NS ns.\nns. A 198.18.0.1\n")
	for _, z := range w.zones {
		hosted[z.product] = append(hosted[z.product], realserver.Zone{Origin: z.origin, Text: z.text})
		for _, label := range []string{"plain", "plain2"} {
			origin := label + "." + z.origin
			hosted[z.product] = append(hosted[z.product], realserver.Zone{Origin: origin, Text: fmt.Sprintf(
				"$TTL 300\n@ SOA ns.%[1]s hostmaster 1 3600 600 604800 300\n@ NS ns.%[1]s\nwww A 192.0.2.84\n", z.origin)})
		}
		fmt.Fprintf(&root, "%[1]s NS ns.%[1]s\nns.%[1]s A %[2]s\n", z.origin, realSignedAddr(z.product))
	}
	rootServer := realserver.Start(t, realserver.NSD, realserver.Zone{Origin: ".", Text: root.String()})
	w.router = realserver.NewRouter(rootServer.Addr())
	for product, zones := range hosted {
		server := realserver.Start(t, product, zones...)
		w.addrs[product] = server.Addr()
		w.router.Route(server.Addr(), realSignedAddr(product))
	}
	return w
}

// ours gives a resolver of this library with anchors at the zones.
func (w *realSignedWorld) ours(t *testing.T) *resolver.Resolver {
	t.Helper()
	var anchors strings.Builder
	for _, z := range w.zones {
		fmt.Fprintln(&anchors, strings.Join(z.anchors, "\n"))
	}
	parsed, err := dnssec.ParseAnchors(strings.NewReader(anchors.String()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := resolver.New(resolver.Options{
		RootHints: &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{{
			Name: dnsname.MustParse("ns."), Bailiwick: glue.InDomain, Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.1")},
		}}},
		TrustAnchors: parsed,
		AllowServer:  func(netip.Addr) bool { return true },
		Dial:         w.router.Dial,
		// The zones are below example., which is answered locally otherwise.
		DisableLocalZones: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// Zones that BIND, Knot DNS and ldns have signed, with all algorithms that they offer,
// served by NSD, Knot DNS and BIND: our verdicts, and those of Unbound and Knot Resolver.
func TestRealSigned(t *testing.T) {
	w := newRealSignedWorld(t)
	r := w.ours(t)
	for _, z := range w.zones {
		for _, q := range z.questions() {
			want := verdict{q.rcode, q.ad}
			if !supported(z.algorithm) {
				want.ad = false
				if q.kind == "changed" {
					want.rcode = dns.RcodeSuccess
				}
			}
			for _, turn := range []string{"cold", "again"} {
				reply := exchange(t, r, verdictQuery(in(q.name, z.origin), q.qtype))
				if got := (verdict{reply.Rcode, reply.AuthenticatedData}); got != want {
					t.Errorf("%s %s by %v, %s: got %v, want %v; extended errors %d", z.origin, q.kind, z.product, turn, got, want, extendedCodes(reply))
				}
			}
		}
	}
	for _, peer := range []peer{unbound, knotResolver} {
		t.Run(peer.name, func(t *testing.T) { w.compare(t, r, peer) })
	}
}

// supported says which algorithms we can check: all that are in use but Ed448, which Go
// does not have.
func supported(algorithm uint8) bool { return algorithm != dns.ED448 }

func in(name, zone string) string { return strings.Replace(name, "$", zone, 1) }

// compare asks a peer what we were asked, and looks every difference up.
func (w *realSignedWorld) compare(t *testing.T, r *resolver.Resolver, p peer) {
	addr := w.start(t, p)
	known := readDifferences(t)
	client := dns.Client{Timeout: 5 * time.Second}
	questions, differ := 0, 0
	for _, z := range w.zones {
		for _, q := range z.questions() {
			query := verdictQuery(in(q.name, z.origin), q.qtype)
			reply, _, err := client.Exchange(query, addr.String())
			if err == nil && reply.Truncated {
				over := dns.Client{Net: "tcp", Timeout: 5 * time.Second}
				reply, _, err = over.Exchange(query, addr.String())
			}
			if err != nil {
				t.Errorf("%s %s: %v", z.origin, q.kind, err)
				continue
			}
			questions++
			mine := exchange(t, r, query)
			ours, theirs := verdict{mine.Rcode, mine.AuthenticatedData}, verdict{reply.Rcode, reply.AuthenticatedData}
			if ours == theirs {
				continue
			}
			differ++
			if !known.explain(p.name, z, q.kind, ours, theirs) {
				t.Errorf("%s, %s (%s): we say %v, %s says %v", z.origin, q.kind, z.product, ours, p.name, theirs)
			}
		}
	}
	known.checkUsed(t, p.name)
	t.Logf("%d questions, %d explained differences", questions, differ)
}

// difference is an explained difference: of a peer, zones, and a kind of question, both
// patterns of path.Match.
type difference struct {
	peer, zones, kind, ours, theirs string
	used                            bool
}

type differences []*difference

// readDifferences reads the file that explains them.
func readDifferences(t *testing.T) differences {
	t.Helper()
	text, err := os.ReadFile("testdata/realsigned.differences")
	if err != nil {
		t.Fatal(err)
	}
	var all differences
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "|")
		if len(fields) != 5 {
			t.Fatalf("testdata/realsigned.differences: %q: want five fields", line)
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		all = append(all, &difference{peer: fields[0], zones: fields[1], kind: fields[2], ours: fields[3], theirs: fields[4]})
	}
	return all
}

func (all differences) explain(peer string, z *realSigned, kind string, ours, theirs verdict) bool {
	for _, d := range all {
		zoneFits, _ := filepath.Match(d.zones, z.origin)
		kindFits, _ := filepath.Match(d.kind, kind)
		if d.peer == peer && zoneFits && kindFits && d.ours == ours.String() && d.theirs == theirs.String() {
			d.used = true
			return true
		}
	}
	return false
}

// checkUsed fails for what is explained and does not happen.
func (all differences) checkUsed(t *testing.T, peer string) {
	t.Helper()
	for _, d := range all {
		if d.peer == peer && !d.used {
			t.Errorf("explained but not seen: %s | %s | %s | %s", d.zones, d.kind, d.ours, d.theirs)
		}
	}
}

// peer is another validating resolver.
type peer struct {
	name, program string
	// config gives the configuration and the command line for it.
	config    func(w *realSignedWorld, dir string, addr netip.AddrPort) string
	arguments []string
}

const peerConfig = "resolver.conf"

var unbound = peer{"Unbound", "unbound", unboundConfig, []string{"-d", "-c", peerConfig}}

func unboundConfig(w *realSignedWorld, dir string, addr netip.AddrPort) string {
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
	do-not-query-localhost: no
	module-config: "validator iterator"
`, dir, addr.Addr(), addr.Port())
	for _, z := range w.zones {
		for _, anchor := range z.anchors {
			fmt.Fprintf(&b, "\ttrust-anchor: %q\n", anchor)
		}
	}
	b.WriteString("remote-control:\n\tcontrol-enable: no\n")
	for _, z := range w.zones {
		at := w.addrs[z.product]
		for _, zone := range []string{z.origin, "plain." + z.origin, "plain2." + z.origin} {
			fmt.Fprintf(&b, "stub-zone:\n\tname: %q\n\tstub-addr: %s@%d\n", zone, at.Addr(), at.Port())
		}
	}
	return b.String()
}

var knotResolver = peer{"Knot Resolver", "kresd", knotResolverConfig, []string{"-n", "-q", "-c", peerConfig, "."}}

func knotResolverConfig(w *realSignedWorld, _ string, addr netip.AddrPort) string {
	var b strings.Builder
	fmt.Fprintf(&b, "net.listen('%s', %d, { kind = 'dns' })\nnet.ipv6 = false\ncache.size = 10 * MB\n", addr.Addr(), addr.Port())
	b.WriteString("modules = { 'policy' }\ntrust_anchors.remove('.')\n")
	for _, z := range w.zones {
		for _, anchor := range z.anchors {
			fmt.Fprintf(&b, "trust_anchors.add([[%s]])\n", anchor)
		}
		at := w.addrs[z.product]
		fmt.Fprintf(&b, "policy.add(policy.suffix(policy.FORWARD('%s@%d'), policy.todnames({'%s'})))\n", at.Addr(), at.Port(), z.origin)
	}
	return b.String()
}

// start runs a peer until the test ends.
func (w *realSignedWorld) start(t *testing.T, p peer) netip.AddrPort {
	t.Helper()
	program := needProgram(t, p.program)
	dir := t.TempDir()
	addr := freeLoopback(t)
	writeFile(t, dir, peerConfig, p.config(w, dir, addr))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, p.arguments...)
	cmd.Dir = dir
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		log.Close()
		if t.Failed() {
			text := readFile(t, dir, "log")
			t.Logf("log of %s:\n%s", p.name, text[max(0, len(text)-4096):])
		}
	})
	awaitPeer(t, addr, w.zones[0].origin)
	return addr
}

// freeLoopback gives an address whose port nobody uses.
func freeLoopback(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// awaitPeer returns when the resolver answers.
func awaitPeer(t *testing.T, addr netip.AddrPort, zone string) {
	t.Helper()
	client := dns.Client{Timeout: time.Second}
	for range 60 {
		reply, _, err := client.Exchange(verdictQuery(zone, dns.TypeSOA), addr.String())
		if err == nil && reply.Rcode == dns.RcodeSuccess {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the resolver at %v does not answer", addr)
}

package resolver_test

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/dnssec/anchorfile"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/resolver"
)

// privateRoot is a root zone of one's own that BIND's tools sign.
type privateRoot struct {
	t   *testing.T
	dir string
	// zsks are the zone signing keys, one of each algorithm.
	zsks []string
}

func (p *privateRoot) run(program string, arguments ...string) string {
	p.t.Helper()
	cmd := exec.Command(realserver.Program(p.t, program), arguments...)
	cmd.Dir = p.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%s %q: %v\n%s", program, arguments, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// key makes a key, and returns the name of its files.
func (p *privateRoot) key(algorithm string, more ...string) string {
	return p.run("dnssec-keygen", append(append([]string{"-q", "-a", algorithm}, more...), ".")...)
}

// record returns the DNSKEY record of a key.
func (p *privateRoot) record(key string) string {
	text, err := os.ReadFile(filepath.Join(p.dir, key+".key"))
	if err != nil {
		p.t.Fatal(err)
	}
	var records []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, ";") {
			records = append(records, line)
		}
	}
	return strings.Join(records, "")
}

// signed returns the zone with keys, signed by all of them for half a year, and with the zone signing
// keys of their algorithms.
func (p *privateRoot) signed(ksks ...string) string {
	var zone strings.Builder
	zone.WriteString("$TTL 3600\n@ SOA ns. admin. 1 3600 600 86400 300\n@ NS ns.\nns A 198.18.0.1\nhost A 192.0.2.80\n")
	var zsks []string
	for _, k := range ksks {
		zone.WriteString(p.record(k))
		for _, zsk := range p.zsks {
			if strings.HasPrefix(zsk, k[:len("K.+008+")]) {
				zsks = append(zsks, zsk)
				zone.WriteString(p.record(zsk))
			}
		}
	}
	if err := os.WriteFile(filepath.Join(p.dir, "zone"), []byte(zone.String()), 0o600); err != nil {
		p.t.Fatal(err)
	}
	arguments := []string{"-q", "-x", "-o", ".", "-e", "+15552000", "-f", "signed"}
	for _, k := range ksks {
		arguments = append(arguments, "-k", k)
	}
	p.run("dnssec-signzone", append(append(arguments, "zone"), zsks...)...)
	text, err := os.ReadFile(filepath.Join(p.dir, "signed"))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// The root of NSD, Knot DNS and BIND in turn, signed and its key revoked by BIND's tools, rolls from
// RSA to ECDSA. The program is started anew for each stage, with a clock that runs ahead and the file
// of the one before.
func TestRealRoll(t *testing.T) {
	p := &privateRoot{t: t, dir: realserver.TempDir(t)}
	old, fresh := p.key("RSASHA256", "-b", "2048", "-f", "KSK"), p.key("ECDSAP256SHA256", "-f", "KSK")
	p.zsks = []string{p.key("RSASHA256", "-b", "2048"), p.key("ECDSAP256SHA256")}
	anchors, err := dnssec.ParseAnchors(strings.NewReader(p.run("dnssec-dsfromkey", "-2", old+".key")))
	if err != nil {
		t.Fatal(err)
	}
	file := anchorfile.New(filepath.Join(p.dir, "anchors.json"))
	first, both := p.signed(old), p.signed(old, fresh)
	revoked := p.run("dnssec-revoke", old)
	revoked = filepath.Base(revoked)
	for _, stage := range []struct {
		product realserver.Product
		days    int
		zone    string
		states  []string
	}{
		{realserver.NSD, 0, first, []string{"Valid"}},
		{realserver.Knot, 1, both, []string{"Valid", "AddPend"}},
		{realserver.BIND, 20, both, []string{"Valid", "AddPend"}},
		{realserver.NSD, 32, both, []string{"Valid", "Valid"}},
		{realserver.Knot, 40, p.signed(revoked, fresh), []string{"Revoked", "Valid"}},
		{realserver.BIND, 75, p.signed(fresh), []string{"Removed", "Valid"}},
	} {
		server := realserver.Start(t, stage.product, realserver.Zone{Origin: ".", Text: stage.zone})
		router := realserver.NewRouter(server.Addr())
		r, err := resolver.New(resolver.Options{
			RootHints: &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{{
				Name: dnsname.MustParse("ns."), Bailiwick: glue.InDomain, Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.1")},
			}}},
			TrustAnchors: anchors, AnchorStore: file,
			Now:         func() time.Time { return time.Now().AddDate(0, 0, stage.days) },
			AllowServer: func(netip.Addr) bool { return true }, Dial: router.Dial,
		})
		if err != nil {
			t.Fatal(err)
		}
		for s := r.Stats().Anchors; s.Refreshed == 0 || s.Unsaved; s = r.Stats().Anchors {
			if s.RefreshFailed+s.StoreFailed > 0 {
				t.Fatalf("%v, day %d: %+v", stage.product, stage.days, s)
			}
			time.Sleep(10 * time.Millisecond)
		}
		var states []string
		for _, k := range r.Rollovers()[0].Keys {
			states = append(states, k.State.String())
		}
		if got := statusOf(t, r, "host."); got != dnssec.Secure || !slices.Equal(states, stage.states) {
			t.Errorf("%v, day %d: got %v with keys %q, want %q", stage.product, stage.days, got, states, stage.states)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

package resolver_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// failureWorld has one server for each zone, so that the order of servers leaves the texts alone.
const failureWorld = `
-- zone shop.example. at 198.51.100.3 --
www    A      192.0.2.1
inner  A      10.0.0.1
loop   CNAME  loop2
loop2  CNAME  loop
-- zone sure.example. at 198.51.100.4 signed --
www    A      192.0.2.1
-- zone far.example. at 198.51.100.5 --
@      NS     ns.shop.example.
www    A      192.0.2.1
`

// failingWay is one way to fail.
type failingWay struct {
	about, fault, name string
	change             func(*resolver.Options)
	patience           time.Duration // of the caller; 0: any
	again              time.Duration // after which the question is asked again; 0: it is not
}

var failingWays = []failingWay{
	{about: "silence", fault: "-- fault shop.example. --\ndead\n"},
	{about: "silence, remembered", fault: "-- fault shop.example. --\ndead\n", again: 2 * time.Second},
	{about: "the caller's time", fault: "-- fault shop.example. --\ndead\n", patience: 300 * time.Millisecond},
	{about: "the limit of time", fault: "-- fault shop.example. --\ndead\n", change: func(o *resolver.Options) { o.Limits.Time = 300 * time.Millisecond }},
	{about: "SERVFAIL", fault: "-- fault shop.example. --\nrcode SERVFAIL\n"},
	{about: "SERVFAIL, remembered", fault: "-- fault shop.example. --\nrcode SERVFAIL\n", again: time.Millisecond},
	{about: "REFUSED", fault: "-- fault shop.example. --\nrcode REFUSED\n"},
	{about: "unreachable", fault: "-- fault shop.example. --\nunreachable\n"},
	{about: "no address", name: "www.far.example.", fault: "-- fault shop.example. --\nwhen name ns.shop.example.: replace NXDOMAIN\n"},
	{about: "name server's name is silent", name: "www.far.example.", fault: "-- fault shop.example. --\ndead\n"},
	{about: "the same, and the caller's time", name: "www.far.example.", fault: "-- fault shop.example. --\ndead\n", patience: 300 * time.Millisecond},
	{about: "bogus", name: "www.sure.example.", fault: "-- fault sure.example. --\nwhen name www.sure.example.: remove answer RRSIG\n"},
	{about: "bogus, remembered", name: "www.sure.example.", fault: "-- fault sure.example. --\nwhen name www.sure.example.: remove answer RRSIG\n", again: 3 * time.Second},
	{about: "keys are missing", name: "www.sure.example.", fault: "-- fault sure.example. --\nwhen type DNSKEY: replace NOERROR\n"},
	{about: "keys are silent", name: "www.sure.example.", fault: "-- fault sure.example. --\nwhen type DNSKEY: dead\n"},
	{about: "keys are silent, remembered", name: "www.sure.example.", fault: "-- fault sure.example. --\nwhen type DNSKEY: dead\n", again: time.Second},
	{about: "circle of aliases", name: "loop.shop.example."},
	{about: "filtered", name: "inner.shop.example.", change: func(o *resolver.Options) { o.RebindingProtection = true }},
	{about: "a limit of work", change: func(o *resolver.Options) { o.Limits.Referrals = 1 }},
	{about: "the root is silent", fault: "-- fault * --\ndead\n", change: func(o *resolver.Options) { o.Limits.SendsPerServer = 1 }},
	{about: "empty label", name: "www..shop.example"},
	{about: "URL", name: "https://www.shop.example../"},
	{about: "long name", name: strings.Repeat("a.", 150)},
	{about: "long label", name: strings.Repeat("a", 64) + ".example"},
	{about: "no name", name: "-"},
	{about: "closed", name: "closed"},
}

// fail returns the error of a question that fails so.
func (f *failingWay) fail(t *testing.T) (err error) {
	name := f.name
	switch name {
	case "", "closed":
		name = "www.shop.example."
	case "-":
		name = ""
	}
	var change []func(*resolver.Options)
	if f.change != nil {
		change = append(change, f.change)
	}
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, failureWorld+f.fault).Resolver(t, append(change, ipv4Only)...)
		if f.name == "closed" {
			r.Close()
		}
		ctx := t.Context()
		if f.patience > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, f.patience)
			defer cancel()
		}
		_, err = r.Resolve(ctx, name, dns.TypeA)
		if f.again > 0 {
			time.Sleep(f.again)
			_, err = r.Resolve(ctx, name, dns.TypeA)
		}
	})
	return err
}

// TestFailureTexts: what is said of each failure, word by word, in the error and by Explain.
func TestFailureTexts(t *testing.T) {
	var got strings.Builder
	for i := range failingWays {
		f := &failingWays[i]
		err := f.fail(t)
		if err == nil {
			t.Fatalf("%s: got an answer", f.about)
		}
		fmt.Fprintf(&got, "# %s\n%v\n%s\n", f.about, err, resolver.Explain(err))
		if f.patience == 0 && strings.Contains(err.Error()+resolver.Explain(err), "context deadline exceeded") {
			t.Errorf("%s: a timeout of a query reads as the caller's: %v", f.about, err)
		}
	}
	gotLines, wantLines := strings.Split(strings.TrimSpace(got.String()), "\n"), strings.Split(strings.TrimSpace(failureTexts), "\n")
	for i, line := range gotLines {
		if i >= len(wantLines) || line != wantLines[i] {
			t.Errorf("line %d: got\n%s", i+1, line)
		}
	}
	if len(gotLines) != len(wantLines) {
		t.Errorf("got %d lines, want %d", len(gotLines), len(wantLines))
	}
	if t.Failed() {
		t.Logf("all of it:\n%s", got.String())
	}
}

const failureTexts = `
# silence
resolve www.shop.example. A: zone shop.example.: no reachable server: 198.51.100.3: read udp: timed out (1 server tried, last 198.51.100.3:53)
No answer for www.shop.example. A: in the zone shop.example. no name server sent a usable answer (no reachable server: 198.51.100.3: read udp: timed out). If other names can be resolved, the zone's servers are down or misconfigured, and only their operator can mend that.
# silence, remembered
resolve www.shop.example. A: zone shop.example.: failed 2s ago: no reachable server: 198.51.100.3: read udp: timed out (1 server tried, last 198.51.100.3:53)
No answer for www.shop.example. A: in the zone shop.example. no name server sent a usable answer (no reachable server: 198.51.100.3: read udp: timed out). It failed 2s ago, and is not asked again for 3s. If other names can be resolved, the zone's servers are down or misconfigured, and only their operator can mend that.
# the caller's time
resolve www.shop.example. A: zone shop.example.: no reply yet from 198.51.100.3:53 (1 of 1 server asked): context deadline exceeded
No answer for www.shop.example. A: the time that the caller allowed ran out before there was an answer. It ended in the zone shop.example.: no reply yet from 198.51.100.3:53 (1 of 1 server asked). A name that was not asked for before may take some seconds: allow more time. If only names of one zone fail so, its servers are down, and only their operator can mend that.
# the limit of time
resolve www.shop.example. A: zone shop.example.: no reply yet from 198.51.100.3:53 (1 of 1 server asked): limit Time (300ms) reached
No answer for www.shop.example. A: it took more work than is allowed: limit Time (300ms) reached. It ended in the zone shop.example.: no reply yet from 198.51.100.3:53 (1 of 1 server asked). Its servers are slow or do not answer; Options.Limits.Time allows more.
# SERVFAIL
resolve www.shop.example. A: zone shop.example.: no reachable server: 198.51.100.3: answered SERVFAIL (1 server tried, last 198.51.100.3:53)
No answer for www.shop.example. A: in the zone shop.example. no name server sent a usable answer (no reachable server: 198.51.100.3: answered SERVFAIL). If other names can be resolved, the zone's servers are down or misconfigured, and only their operator can mend that.
# SERVFAIL, remembered
resolve www.shop.example. A: zone shop.example.: failed less than 1s ago: no reachable server: 198.51.100.3: answered SERVFAIL (1 server tried, last 198.51.100.3:53)
No answer for www.shop.example. A: in the zone shop.example. no name server sent a usable answer (no reachable server: 198.51.100.3: answered SERVFAIL). It failed less than 1s ago, and is not asked again for 5s. If other names can be resolved, the zone's servers are down or misconfigured, and only their operator can mend that.
# REFUSED
resolve www.shop.example. A: zone shop.example.: no reachable server: 198.51.100.3: does not serve the zone (REFUSED) (1 server tried, last 198.51.100.3:53)
No answer for www.shop.example. A: in the zone shop.example. no name server sent a usable answer (no reachable server: 198.51.100.3: does not serve the zone (REFUSED)). If other names can be resolved, the zone's servers are down or misconfigured, and only their operator can mend that.
# unreachable
resolve www.shop.example. A: zone shop.example.: no reachable server: 198.51.100.3: dial udp: connect: network is unreachable (1 server tried, last 198.51.100.3:53)
No answer for www.shop.example. A: in the zone shop.example. no name server sent a usable answer (no reachable server: 198.51.100.3: dial udp: connect: network is unreachable). If other names can be resolved, the zone's servers are down or misconfigured, and only their operator can mend that.
# no address
resolve www.far.example. A: zone far.example.: no address of any name server: address of ns.shop.example.: ns.shop.example. A: no address of any name server
No answer for www.far.example. A: in the zone far.example. no name server of the zone has an address that is known, can be looked up and may be asked (no address of any name server: address of ns.shop.example.: ns.shop.example. A: no address of any name server). Only the zone's operator can mend that, unless its servers have private addresses: those are asked if Options.AllowServer allows it.
# name server's name is silent
resolve www.far.example. A: zone far.example.: no address of any name server: address of ns.shop.example.: zone shop.example.: no reachable server: 198.51.100.3: read udp: timed out
No answer for www.far.example. A: in the zone far.example. no name server of the zone has an address that is known, can be looked up and may be asked (no address of any name server: address of ns.shop.example.: zone shop.example.: no reachable server: 198.51.100.3: read udp: timed out). Only the zone's operator can mend that, unless its servers have private addresses: those are asked if Options.AllowServer allows it.
# the same, and the caller's time
resolve www.far.example. A: zone shop.example.: no reply yet from 198.51.100.3:53 for ns.shop.example. A (1 of 1 server asked): context deadline exceeded
No answer for www.far.example. A: the time that the caller allowed ran out before there was an answer. It ended in the zone shop.example.: no reply yet from 198.51.100.3:53 for ns.shop.example. A (1 of 1 server asked). A name that was not asked for before may take some seconds: allow more time. If only names of one zone fail so, its servers are down, and only their operator can mend that.
# bogus
resolve www.sure.example. A: zone sure.example.: bogus: signature missing: www.sure.example. A (1 server tried, last 198.51.100.4:53)
No answer for www.sure.example. A: the answer failed DNSSEC validation (signature missing: www.sure.example. A), so that it may be forged and is not used. Asked: 198.51.100.4:53. The zone above says that the zone is signed, but the answer has no signature. Either the zone's operator has made a mistake, or somebody forges answers: tell the operator. For a zone that is known to be broken there is Options.NegativeTrustAnchors.
# bogus, remembered
resolve www.sure.example. A: zone sure.example.: failed 3s ago: bogus: signature missing: www.sure.example. A (1 server tried, last 198.51.100.4:53)
No answer for www.sure.example. A: the answer failed DNSSEC validation (signature missing: www.sure.example. A), so that it may be forged and is not used. Asked: 198.51.100.4:53. It failed 3s ago, and is not asked again for 2s. The zone above says that the zone is signed, but the answer has no signature. Either the zone's operator has made a mistake, or somebody forges answers: tell the operator. For a zone that is known to be broken there is Options.NegativeTrustAnchors.
# keys are missing
resolve www.sure.example. A: zone sure.example.: bogus: DNSKEY missing: sure.example. DNSKEY (1 server tried, last 198.51.100.4:53)
No answer for www.sure.example. A: the answer failed DNSSEC validation (DNSKEY missing: sure.example. DNSKEY), so that it may be forged and is not used. Asked: 198.51.100.4:53. The zone's keys are not those that the zone above names (DS), as after a change of keys that it was not told of. Either the zone's operator has made a mistake, or somebody forges answers: tell the operator. For a zone that is known to be broken there is Options.NegativeTrustAnchors.
# keys are silent
resolve www.sure.example. A: zone sure.example.: bogus: DNSKEY missing: sure.example. DNSKEY: zone sure.example.: no reachable server: 198.51.100.4: read udp: timed out (1 server tried, last 198.51.100.4:53)
No answer for www.sure.example. A: the answer failed DNSSEC validation (DNSKEY missing: sure.example. DNSKEY), so that it may be forged and is not used. Asked: 198.51.100.4:53. The keys that vouch for it could not be fetched (zone sure.example.: no reachable server: 198.51.100.4: read udp: timed out): ask again later.
# keys are silent, remembered
resolve www.sure.example. A: zone sure.example.: failed 1s ago: bogus: DNSKEY missing: sure.example. DNSKEY: zone sure.example.: no reachable server: 198.51.100.4: read udp: timed out (1 server tried, last 198.51.100.4:53)
No answer for www.sure.example. A: the answer failed DNSSEC validation (DNSKEY missing: sure.example. DNSKEY), so that it may be forged and is not used. Asked: 198.51.100.4:53. It failed 1s ago, and is not asked again for 4s. The keys that vouch for it could not be fetched (zone sure.example.: no reachable server: 198.51.100.4: read udp: timed out): ask again later.
# circle of aliases
resolve loop.shop.example. A: alias loop: loop.shop.example. -> loop2.shop.example. -> loop.shop.example.
No answer for loop.shop.example. A: its aliases (CNAME or DNAME) lead in a circle (loop.shop.example. -> loop2.shop.example. -> loop.shop.example.). Only the operator of these zones can mend that.
# filtered
resolve inner.shop.example. A: no address of the answer is allowed
No answer for inner.shop.example. A: every address of the answer is private or not allowed here (Options.RebindingProtection, Options.AllowAddress). If the name is meant to have such addresses, add its domain to Options.PrivateDomains.
# a limit of work
resolve www.shop.example. A: limit Referrals (1) reached
No answer for www.shop.example. A: it took more work than is allowed: limit Referrals (1) reached. That is a sign of a broken or hostile zone, or of too many questions at once; where it is neither, Options.Limits.Referrals allows more.
# the root is silent
resolve www.shop.example. A: zone .: no root server can be reached: port 53 may be blocked: no reachable server: 198.18.0.1: read udp: timed out; 198.18.0.1: dial tcp: timed out (1 server tried, last 198.18.0.1:53)
No answer for www.shop.example. A: port 53 is blocked: no root server answers. Asked: 198.18.0.1:53. The way out: forward to a resolver that may be asked (a Route for "." in Options.Routes), or use a network that lets DNS through.
# empty label
resolve www..shop.example A: malformed domain name: empty label in domain name
No answer for www..shop.example A: it has an empty label: it begins with a dot, or two dots follow each other. Check its spelling.
# URL
resolve https://www.shop.example../ A: malformed domain name: empty label in domain name (it is a URL, not a name)
No answer for https://www.shop.example../ A: it is a URL, not a name. Ask for its host alone, which the method Hostname of a url.URL returns.
# long name
resolve a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a. A: malformed domain name: domain name longer than 255 bytes
No answer for a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a. A: it has more than 253 bytes. Check its spelling.
# long label
resolve aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example A: malformed domain name: label longer than 63 bytes
No answer for aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example A: it has a label of more than 63 bytes. A name has labels of 1 to 63 bytes between dots.
# no name
resolve "" A: malformed domain name: empty domain name
the name is empty. Check where the name comes from.
# closed
resolve www.shop.example. A: resolver is closed
No answer for www.shop.example. A: the resolver has been closed. Make a new one, or close it later.
`

package resolver_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// limitCase is a question that a limit of that value makes fail, and the faults that cause
// it.
type limitCase struct {
	value int
	world string
	ask   string
	fault resolvertest.Fault
	leads bool // to something else: the question need not fail, since something is left out, or its time is over
}

// limitCases has each field of Limits.
func limitCases() map[string]limitCase {
	const (
		shop   = "-- zone attacker.example. at 198.51.100.66 --\nwww A 192.0.2.80\nwww A 192.0.2.81\na CNAME b\nb CNAME c\nc CNAME d\nd A 192.0.2.82\n"
		signed = "-- zone attacker.example. at 198.51.100.66 algorithm=13 --\nwww A 192.0.2.80\n"
		www    = "www.attacker.example."
	)
	late := shop + "-- fault attacker.example. --\nlatency 20s\n"
	return map[string]limitCase{
		"Sends":                 {value: 3, world: late, ask: www},
		"Bytes":                 {value: 100, world: shop, ask: www},
		"Time":                  {value: int(300 * time.Millisecond), world: late, ask: www},
		"SendsPerServer":        {value: 1, world: shop + "-- fault attacker.example. --\nno-edns formerr\n", ask: www},
		"FailedServerLookups":   {value: 2, world: nxns(10), ask: "www.sub.attacker.example."},
		"AddressesPerServer":    {value: 1, world: "-- zone example. at 198.51.100.2 --\nattacker NS ns.attacker\nns.attacker A 198.51.100.66\nns.attacker A 198.51.100.67\n-- zone attacker.example. at 198.51.100.66 198.51.100.67 undelegated --\nwww A 192.0.2.80\n", ask: www, leads: true},
		"Depth":                 {value: 1, world: "-- zone test. at 198.51.100.2 --\na NS ns.b.test.\nb NS ns.c.test.\nc NS ns.d.test.\n-- zone d.test. at 198.51.100.3 --\nns A 198.51.100.4\n", ask: "www.a.test."},
		"Aliases":               {value: 2, world: shop, ask: "a.attacker.example."},
		"Minimised":             {value: 1, world: "-- zone attacker.example. at 198.51.100.66 --\nx.a CNAME x.b\nx.b CNAME x.c\nx.c CNAME x.d\nx.d A 192.0.2.80\n", ask: "x.a.attacker.example.", fault: resolvertest.Hook(firstAnswerOnly), leads: true},
		"Referrals":             {value: 1, world: shop, ask: www},
		"Records":               {value: 1, world: shop, ask: www},
		"SignatureChecks":       {value: 1, world: signed, ask: www},
		"FailedSignatureChecks": {value: 2, world: signed, ask: www, fault: keyTrap(0, 4)},
		"SignatureCost":         {value: 2, world: signed, ask: www},
		"SignaturesPerRRset":    {value: 2, world: signed, ask: www, fault: keyTrap(0, 4)},
		"KeysPerTag":            {value: 1, world: signed, ask: www, fault: keyTrap(4, 0)},
		"DSPerZone":             {value: 3, world: manyDS(5), ask: www},
		"NSEC3Iterations":       {value: 3, world: "-- zone attacker.example. at 198.51.100.66 nsec3 iterations=4 --\n", ask: "none.attacker.example.", leads: true},
		"NSEC3Hashes":           {value: 1, world: "-- zone attacker.example. at 198.51.100.66 nsec3 --\n", ask: "none.attacker.example."},
		"Questions":             {value: 1, world: late, ask: www, leads: true},
	}
}

// TestEveryLimit: whichever limit is reached, the error is a *LimitError with its name and
// value, the extended DNS error says so, Stats counts it, and names beside it are found.
// Where a limit leaves something out, Stats counts that.
func TestEveryLimit(t *testing.T) {
	cases := limitCases()
	for field := range reflect.TypeFor[resolver.Limits]().Fields() {
		c, ok := cases[field.Name]
		switch {
		case ok:
		case field.Name == "QueriesPerZone", field.Name == "QueriesPerServer", field.Name == "Sockets", field.Name == "Connections":
			continue // TestCrowdIsToldTheLimit, TestCrowdFillsConnections
		default:
			t.Errorf("no case for %s", field.Name)
			continue
		}
		t.Run(field.Name, func(t *testing.T) {
			inWorld(t, c.world+besideSigned, func(w *world) {
				if strings.Contains(c.world, "zone attacker.example.") {
					w.in.Fault("attacker.example.", c.fault)
				}
				ctx := w.Context()
				if field.Name == "Questions" { // another question has the slot, for longer than we wait
					var cancel func()
					ctx, cancel = contextWithin(w, 100*time.Millisecond)
					defer cancel()
					go w.r.Resolve(w.Context(), "mail.attacker.example.", dns.TypeA)
					time.Sleep(time.Millisecond)
				}
				o := w.askWith(ctx, c.ask, dns.TypeA)
				w.settle()
				if w.r.Stats().Limits[field.Name] == 0 {
					t.Errorf("Stats do not count it: got %v", o)
				}
				if !c.leads {
					wantNamed(t, o.err, field.Name, c.value)
				}
			}, ipv4Only, func(o *resolver.Options) {
				reflect.ValueOf(&o.Limits).Elem().FieldByIndex(field.Index).SetInt(int64(c.value))
			})
		})
	}
}

// wantNamed wants an error to say which limit it is.
func wantNamed(t *testing.T, err error, name string, value int) {
	t.Helper()
	shown := fmt.Sprint(value)
	if name == "Time" {
		shown = time.Duration(value).String()
		value /= int(time.Millisecond)
	}
	var limit *resolver.LimitError
	var failure *resolver.Error
	if !errors.As(err, &limit) || *limit != (resolver.LimitError{Limit: name, Value: value}) || !errors.As(err, &failure) {
		t.Errorf("got %v, want the limit %s of %d", err, name, value)
		return
	}
	want := resolver.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: fmt.Sprintf("limit %s (%s) reached", name, shown)}
	if failure.Extended != want {
		t.Errorf("got the extended error %v, want %v", failure.Extended, want)
	}
}

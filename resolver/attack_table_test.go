package resolver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// attack is one row of the table of measured attacks: what one question may cost
// however hostile the zone is, the victim's share of it, what the cache keeps of it, and in
// what time it ends.
// The goals are lower than what established resolvers need.
type attack struct {
	name   string
	text   string
	known  []string       // asked for beforehand, when all was well
	faults string         // that begin then, as a fault section's
	before func(w *world) // what happens after that and before the question
	ask    string
	victim resolvertest.Filter // nil: there is none

	goal  cost
	fails error                   // by what, as wantNoAnswer takes it
	check func(w *world, o asked) // instead, or to hold as well
}

// cost is what a row is measured by.
type cost struct {
	sends, share int // in all, and to the victim
	kept         int // entries in the cache afterwards that were not there before
	took         time.Duration
}

// costLine is the form of a row.
const costLine = "%-62s %5v %6v %5v %8v  %s"

// wantCost prints one row of the table, and holds its goal.
func wantCost(t *testing.T, name string, got, goal cost) {
	t.Helper()
	got.took = got.took.Round(time.Millisecond)
	t.Logf(costLine, name, got.sends, got.share, got.kept, got.took, fmt.Sprintf("<= %d (%d), %d, %v", goal.sends, goal.share, goal.kept, goal.took))
	if got.sends > goal.sends || got.share > goal.share || got.kept > goal.kept || got.took > goal.took {
		t.Errorf("%s: got %d sends, %d of them to the victim, %d new entries, in %v; want at most %+v", name, got.sends, got.share, got.kept, got.took, goal)
	}
}

// attackerAt and victimAt are where the zones of the rows are.
const (
	attackerAt = "198.51.100.66"
	victimAt   = "198.51.100.9"
)

var toVictim = resolvertest.To(victimAt)

// nxns is a delegation to many names that do not exist in the victim's zone.
func nxns(names int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- zone attacker.example. at %s --\n", attackerAt)
	for i := range names {
		fmt.Fprintf(&b, "sub NS n%d.victim.test.\n", i)
	}
	fmt.Fprintf(&b, "-- zone victim.test. at %s --\nwww A 192.0.2.90\n", victimAt)
	return b.String()
}

// The zones that are known before an attack begins: the attacker's, or the victim's as
// well.
var (
	known = []string{"none.attacker.example."}
	both  = []string{"attacker.example.", "www.victim.test."}
)

// faulty returns all servers of the attacker's zone a fault.
func faulty(fault string) string { return "-- fault attacker.example. --\n" + fault + "\n" }

// manyServers is a zone with n servers.
func manyServers(n int) string {
	var b strings.Builder
	b.WriteString("-- zone attacker.example. at")
	for i := range n {
		fmt.Fprintf(&b, " 203.0.113.%d", i+1)
	}
	b.WriteString(" --\nwww A 192.0.2.66\n")
	return b.String()
}

// oneAddress is a delegation to twelve names with the same address.
func oneAddress() string {
	var b strings.Builder
	b.WriteString("-- zone example. at 198.51.100.2 --\n")
	for i := range 12 {
		fmt.Fprintf(&b, "attacker NS ns%[1]d.attacker\nns%[1]d.attacker A %[2]s\n", i, attackerAt)
	}
	fmt.Fprintf(&b, "-- zone attacker.example. at %s undelegated --\n", attackerAt)
	return b.String()
}

var attacks = []attack{
	{name: "NXNS, 10 names", text: nxns(10), known: both, ask: "www.sub.attacker.example.", victim: toVictim, goal: cost{sends: 6, share: 5, kept: 7, took: 200 * time.Millisecond}, fails: resolver.ErrNoServerAddress},
	{name: "NXNS, 50 names", text: nxns(50), known: both, ask: "www.sub.attacker.example.", victim: toVictim, goal: cost{sends: 7, share: 5, kept: 7, took: 200 * time.Millisecond}, fails: resolver.ErrNoServerAddress},
	{name: "NXNS, 500 names", text: nxns(500), known: both, ask: "www.sub.attacker.example.", victim: toVictim, goal: cost{sends: 7, share: 5, kept: 7, took: 300 * time.Millisecond}, fails: resolver.ErrNoServerAddress},
	{name: "NXNS, 50 names, victim silent", text: nxns(50), known: both, faults: "-- fault " + victimAt + " --\ndrop\n", ask: "www.sub.attacker.example.", victim: toVictim, goal: cost{sends: 8, share: 6, kept: 15, took: 5 * time.Second}, fails: resolver.ErrNoServerAddress},
	{name: "13 dead addresses", text: manyServers(13), known: known, faults: faulty("dead"), ask: "www.attacker.example.", goal: cost{sends: 14, kept: 1, took: 5 * time.Second}, fails: resolver.ErrNoReachableServer},
	{
		name: "same zone again, new name", text: manyServers(13), known: known, faults: faulty("dead"), ask: "other.attacker.example.", goal: cost{sends: 3, kept: 1, took: time.Second}, fails: resolver.ErrNoReachableServer,
		before: func(w *world) {
			// Until each of the 13 has been silent often enough to be marked down.
			for i := range 3 {
				w.ask(fmt.Sprintf("n%d.attacker.example.", i), dns.TypeA)
			}
		},
	},
	{name: "13 servers SERVFAIL", text: manyServers(13), known: known, faults: faulty("rcode SERVFAIL"), ask: "www.attacker.example.", goal: cost{sends: 14, kept: 1, took: time.Second}, fails: resolver.ErrNoReachableServer},
	{
		name: "the same question again within 1 s", text: manyServers(13), known: known, faults: faulty("rcode SERVFAIL"), ask: "www.attacker.example.", goal: cost{sends: 0}, fails: resolver.ErrCached,
		before: func(w *world) {
			w.ask("www.attacker.example.", dns.TypeA)
			time.Sleep(999 * time.Millisecond)
		},
	},
	{name: "40 servers SERVFAIL", text: manyServers(40), known: known, faults: faulty("rcode SERVFAIL"), ask: "www.attacker.example.", goal: cost{sends: 14, kept: 1, took: time.Second}, fails: resolver.ErrNoReachableServer},
	{name: "12 NS names, one dead address", text: oneAddress(), known: known, faults: faulty("dead"), ask: "www.attacker.example.", goal: cost{sends: 4, kept: 1, took: 3 * time.Second}, fails: resolver.ErrNoReachableServer},
	{name: "12 NS names, one SERVFAIL address", text: oneAddress(), known: known, faults: faulty("rcode SERVFAIL"), ask: "www.attacker.example.", goal: cost{sends: 2, kept: 1, took: 100 * time.Millisecond}, fails: resolver.ErrNoReachableServer},
	{
		name: "referral back to itself",
		text: manyServers(1), known: known,
		faults: faulty("replace NOERROR\nclear aa\nadd authority attacker.example. 300 IN NS ns1.attacker.example.\nadd additional ns1.attacker.example. 300 IN A 203.0.113.1"),
		ask:    "www.attacker.example.", goal: cost{sends: 2, kept: 1, took: 100 * time.Millisecond}, fails: resolver.ErrNoReachableServer,
	},
	{
		name: "TsuNAME",
		text: "-- zone example. at 198.51.100.2 --\na NS ns.b\nb NS ns.a\n",
		ask:  "www.a.example.", known: []string{"none.example."}, goal: cost{sends: 4, kept: 3, took: 100 * time.Millisecond}, fails: resolver.ErrCircular,
	},
	{
		name: "CNAME chain of 200, one a message", text: chain("attacker.example.", 200) + faulty("latency 20ms"), known: known,
		before: func(w *world) { w.in.Fault("attacker.example.", resolvertest.Hook(firstAnswerOnly)) },
		ask:    "n0.attacker.example.", goal: cost{sends: 12, kept: 11, took: time.Second}, fails: overLimit("Aliases"),
	},
	{name: "CNAME chain of 100 in one message", text: chain("attacker.example.", 100), known: known, ask: "n0.attacker.example.", goal: cost{sends: 3, kept: 11, took: 100 * time.Millisecond}, fails: overLimit("Aliases")},
	{
		name: "CNAME loop of 3", text: manyServers(1) + "a CNAME b\nb CNAME c\nc CNAME a\n", known: known,
		before: func(w *world) { w.in.Fault("attacker.example.", resolvertest.Hook(firstAnswerOnly)) },
		ask:    "a.attacker.example.", goal: cost{sends: 4, kept: 3, took: 200 * time.Millisecond}, fails: resolver.ErrAliasLoop,
	},
	{
		name: "DNAME loop", text: manyServers(1) + "d DNAME e\ne DNAME d\n",
		ask: "www.d.attacker.example.", known: known, goal: cost{sends: 2, kept: 2, took: 100 * time.Millisecond}, fails: resolver.ErrAliasLoop,
	},
	{
		name: "90-label name", text: manyServers(1), ask: strings.Repeat("a.", 88) + "attacker.example.",
		goal:  cost{sends: 10, kept: 5, took: 300 * time.Millisecond},
		check: func(w *world, o asked) { o.check(w, "90 labels", dns.RcodeNameError) },
	},
	{
		name: "RRset of 2,000 addresses", text: bigSet(2000), known: known, ask: "big.attacker.example.", goal: cost{sends: 4, kept: 1, took: 300 * time.Millisecond}, fails: overLimit("Records"),
		check: func(w *world, _ asked) { w.wantLimit("big2.attacker.example.", dns.TypeA, "Records") },
	},
	{name: "reply with another question", text: manyServers(1), known: known, faults: faulty("wrong-question other.example. A"), ask: "www.attacker.example.", goal: cost{sends: 3, kept: 1, took: 5 * time.Second}, check: wantTCPBetween},
	{name: "reply with wrong ID", text: manyServers(1), known: known, faults: faulty("wrong-id"), ask: "www.attacker.example.", goal: cost{sends: 3, kept: 1, took: 5 * time.Second}, check: wantTCPBetween},
	{name: "reply with QR=0", text: manyServers(1), known: known, faults: faulty("wrong-qr"), ask: "www.attacker.example.", goal: cost{sends: 3, kept: 1, took: 5 * time.Second}, check: wantTCPBetween},
	{name: "reply with opcode 5", text: manyServers(1), known: known, faults: faulty("wrong-opcode 5"), ask: "www.attacker.example.", goal: cost{sends: 3, kept: 1, took: 5 * time.Second}, check: wantTCPBetween},
	{
		name: "aliases x name servers x labels (CAMP)", text: camp(), ask: "a.b.c.c0.attacker.example.", victim: toVictim,
		goal:  cost{sends: 50, share: 10, kept: 60, took: time.Second},
		check: func(*world, asked) {}, // whether it is found depends on which name servers are tried
	},
}

// bigSet is a zone with two RRsets of n addresses.
func bigSet(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- zone attacker.example. at %s --\n", attackerAt)
	for _, owner := range []string{"big", "big2"} {
		for i := range n {
			fmt.Fprintf(&b, "%s A 198.18.%d.%d\n", owner, i/256, i%256)
		}
	}
	return b.String()
}

// camp multiplies: a chain of aliases, each into a zone of its own whose name servers
// are names at the victim's that do not exist, and one that works.
func camp() string {
	var b, zones strings.Builder
	fmt.Fprintf(&b, "-- zone attacker.example. at %s --\n", attackerAt)
	for i := range 12 {
		fmt.Fprintf(&b, "c%d NS ns.helper.test.\n", i)
		for j := range 12 {
			fmt.Fprintf(&b, "c%d NS a%d-%d.victim.test.\n", i, i, j)
		}
		fmt.Fprintf(&zones, "-- zone c%d.attacker.example. at 198.51.100.67 undelegated --\na.b.c CNAME a.b.c.c%d.attacker.example.\n", i, i+1)
	}
	fmt.Fprintf(&b, "-- zone victim.test. at %s --\nwww A 192.0.2.90\n-- zone helper.test. --\nns A 198.51.100.67\n", victimAt)
	return b.String() + zones.String()
}

// play brings the world to where the question of the row is asked.
func (a *attack) play(w *world) {
	for _, name := range a.known {
		w.ask(name, dns.TypeMX)
	}
	if err := w.in.Update(a.faults); err != nil {
		w.Fatal(err)
	}
	if a.before != nil {
		a.before(w)
	}
}

// overLimit is, for wantNoAnswer, that a question fails by this field of Limits.
func overLimit(field string) error { return &resolver.LimitError{Limit: field} }

// wantNoAnswer: the question failed by this cause, an error of package resolver or a limit,
// and the reply to a client has nothing of what was found on the way (RFC 6604 leaves open
// how much of a chain is sent; half of one misleads).
func (w *world) wantNoAnswer(name string, o asked, cause error) {
	w.Helper()
	var failure *resolver.Error
	var want, limit *resolver.LimitError
	right := errors.Is(o.err, cause)
	if errors.As(cause, &want) {
		right = errors.As(o.err, &limit) && limit.Limit == want.Limit
	}
	if !right || cause == nil || !errors.As(o.err, &failure) {
		w.Errorf("got %v, want an *Error by %v", o, cause)
	}
	reply, err := w.r.Exchange(w.Context(), new(dns.Msg).SetQuestion(name, dns.TypeA))
	if err != nil || reply.Rcode != dns.RcodeServerFailure || len(reply.Answer)+len(reply.Ns) > 0 {
		w.Errorf("got error %v and message\n%v\nwant SERVFAIL without records", err, reply)
	}
}

// wantTCPBetween: the reply over UDP was ignored, TCP failed, and UDP was used once more.
func wantTCPBetween(w *world, o asked) {
	w.Helper()
	w.count(2, notPriming, resolvertest.Over("udp"))
	w.count(1, notPriming, resolvertest.Over("tcp"))
	w.wantNoAnswer("www.attacker.example.", o, resolver.ErrNoReachableServer)
}

// TestAttackTable asserts the goals, and prints the table: with addresses of one family, and
// with both, when each name server's name may be asked for twice.
func TestAttackTable(t *testing.T) {
	t.Logf(costLine, "scenario", "sends", "victim", "kept", "time", "goal")
	for _, a := range attacks {
		t.Run(strings.ReplaceAll(a.name, "/", " "), func(t *testing.T) { a.run(t, a.name, ipv4Only) })
		both := a
		both.goal.kept *= 2 // what is known to be missing is known for each family
		t.Run(strings.ReplaceAll(a.name, "/", " ")+", both families", func(t *testing.T) { both.run(t, a.name+", IPv6 too") })
	}
}

// run plays a row, and holds it to its goal.
func (a *attack) run(t *testing.T, name string, change ...func(*resolver.Options)) {
	t.Helper()
	held := cache.New(cache.Options{})
	inWorld(t, a.text, func(w *world) {
		a.play(w)
		before := w.held(held)
		o := w.ask(a.ask, dns.TypeA)
		w.settle() // what goes on afterwards counts too
		sends, share := w.in.Count(notPriming), 0
		if a.victim != nil {
			share = w.in.Count(a.victim)
		}
		kept := w.news(before, w.held(held))
		wantCost(w.T, name, cost{sends, share, kept, o.took}, a.goal)
		if a.fails != nil || a.check == nil {
			w.wantNoAnswer(a.ask, o, a.fails)
		}
		if a.check != nil {
			a.check(w, o)
		}
		if a.victim != nil {
			w.in.Fault(victimAt, resolvertest.Mend())
			w.want("www.victim.test.", dns.TypeA, 0, "www.victim.test. A 192.0.2.90")
		}
	}, append(change, func(o *resolver.Options) { o.Cache = held })...)
}

package resolver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// serverSays asks one server of the Internet, as a resolver would.
func serverSays(t *testing.T, in *resolvertest.Internet, server, name string, qtype uint16) *dns.Msg {
	t.Helper()
	conn, err := in.Dial(t.Context(), "tcp", server+":53")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	query := new(dns.Msg).SetQuestion(name, qtype).SetEdns0(4096, true)
	query.RecursionDesired = false
	c := dns.Conn{Conn: conn}
	if err := c.WriteMsg(query); err != nil {
		t.Fatal(err)
	}
	reply, err := c.ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// exchangeResult is a result as far as a lie could change it.
func exchangeResult(result *resolver.Result, err error) string {
	var failure *resolver.Error
	switch {
	case errors.As(err, &failure) && failure.Status == dnssec.Bogus:
		return "bogus"
	case errors.Is(err, resolver.ErrNoReachableServer):
		return "no reachable server"
	case err != nil:
		return "error " + err.Error()
	}
	return fmt.Sprint(dns.RcodeToString[result.Rcode], " ", result.Status, " ", lastData(result.Answer, result.Question.Qtype))
}

// sections returns what of a reply can prove something.
func sections(m *dns.Msg) []*[]dns.RR { return []*[]dns.RR{&m.Answer, &m.Ns} }

// Without any one record of a reply, or with it altered, an answer is unchanged or bogus,
// but never something else.
func TestEachRecordMatters(t *testing.T) {
	const server = "198.51.100.3"
	kinds := []string{"signed", "opt-out", "nsec3", "compact"}
	if testing.Short() {
		kinds = kinds[:2] // TestForeignProofs has nsec3
	}
	for _, words := range kinds {
		t.Run(words, func(t *testing.T) {
			more := wildcards
			if words == "compact" {
				more = ""
			}
			bogus, same := 0, 0
			for _, q := range signedQuestions(words == "compact", words == "opt-out") {
				if !strings.HasSuffix(q.name, "shop.example.") {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					in := resolvertest.New(t, fmt.Sprintf(signedWorld, words, more))
					want := exchangeResult(in.Resolver(t).Resolve(t.Context(), q.name, q.qtype))
					reply := serverSays(t, in, server, q.name, q.qtype)
					for section, rrs := range sections(reply) {
						for n, rr := range *rrs {
							for _, change := range []func(rrs []dns.RR, n int) []dns.RR{without, altered} {
								in.Fault(server, resolvertest.Mend(), resolvertest.Hook(func(query, reply *dns.Msg) {
									asked := query.Question[0]
									if rrs := sections(reply)[section]; strings.EqualFold(asked.Name, q.name) && asked.Qtype == q.qtype && n < len(*rrs) {
										*rrs = change(*rrs, n)
									}
								}))
								switch got := exchangeResult(in.Resolver(t).Resolve(t.Context(), q.name, q.qtype)); {
								case got == "bogus":
									bogus++
								case words == "opt-out" && strings.Contains(got, " insecure "):
									// In an opt-out range anything may be an unsigned delegation: that is
									// what opt-out gives up (RFC 5155 §6).
								case got == want:
									same++
								default:
									t.Errorf("%s, with a change of %v: got %q, want %q or bogus", q.kind, rr, got, want)
								}
							}
						}
					}
				})
			}
			if bogus < 50 {
				t.Errorf("got %d bogus answers and %d unchanged ones: the changes do nothing", bogus, same)
			}
		})
	}
}

func without(rrs []dns.RR, n int) []dns.RR { return slices.Delete(slices.Clone(rrs), n, n+1) }

// altered changes what a record says.
func altered(rrs []dns.RR, n int) []dns.RR {
	rrs = slices.Clone(rrs)
	rrs[n] = dns.Copy(rrs[n])
	switch rr := rrs[n].(type) {
	case *dns.A:
		rr.A[3]++
	case *dns.AAAA:
		rr.AAAA[15]++
	case *dns.CNAME:
		rr.Target = "other.example."
	case *dns.DNAME:
		rr.Target = "plain.example."
	case *dns.SOA:
		rr.Serial++
	case *dns.NSEC:
		rr.TypeBitMap = []uint16{dns.TypeNS, dns.TypeNSEC}
	case *dns.NSEC3:
		rr.Flags ^= 1
	case *dns.RRSIG:
		rr.Expiration++
	case *dns.DS:
		rr.KeyTag++
	case *dns.NS:
		rr.Ns = "ns.plain.example."
	case *dns.DNSKEY:
		rr.Flags ^= 1
	}
	return rrs
}

// serverQuestion is one question to the server of a zone, or to a resolver.
type serverQuestion struct {
	server, name string
	qtype        uint16
}

// afterRefusal is how long after a refused answer the same question is asked again: what
// failed is remembered for less than that, and what a lie would have left for more.
const afterRefusal = 61 * time.Second

// deniedByNobody are names that exist, in the zone that lies are told in and in those below
// it. A forged denial that is believed, or kept for synthesis (RFC 8198), denies some of
// them.
var deniedByNobody = []string{
	"www.shop.example.", "y.wild.shop.example.", "a.ent.shop.example.", "www.child.shop.example.", "www.grand.child.shop.example.",
}

// refusedThen asks a resolver that has refused an answer for more: for the same name with
// another type, for names beside it and below, and after a while for the name itself.
func refusedThen(t *testing.T, r *resolver.Resolver, refused serverQuestion) []string {
	t.Helper()
	all := []string{exchangeResult(r.Resolve(t.Context(), refused.name, dns.TypeTXT))}
	for _, name := range deniedByNobody {
		if name != refused.name {
			all = append(all, exchangeResult(r.Resolve(t.Context(), name, dns.TypeA)))
		}
	}
	time.Sleep(afterRefusal)
	return append(all, exchangeResult(r.Resolve(t.Context(), refused.name, refused.qtype)))
}

// A proof that belongs to another question or another zone proves nothing here: the
// denials of parent, child, sibling and grandchild, and of other names in the zone. The
// resolver that has refused it keeps nothing of it.
func TestForeignProofs(t *testing.T) {
	const world = `
-- zone example. at 198.18.0.2 %[1]s --
a               A       192.0.2.1
-- zone shop.example. at 198.51.100.3 %[1]s --
www             A       192.0.2.80
*.wild          A       192.0.2.81
a.ent           A       192.0.2.82
unsigned        NS      ns.plain.example.
-- zone child.shop.example. at 198.51.100.4 %[1]s --
www             A       192.0.2.83
-- zone grand.child.shop.example. at 198.51.100.5 %[1]s --
www             A       192.0.2.84
-- zone sister.example. at 198.51.100.6 %[1]s --
www             A       192.0.2.85
-- zone plain.example. at 198.51.100.7 --
www             A       192.0.2.86
`
	var borrowed []serverQuestion
	for _, of := range [][2]string{
		{"example.", "198.18.0.2"}, {"shop.example.", "198.51.100.3"}, {"child.shop.example.", "198.51.100.4"},
		{"grand.child.shop.example.", "198.51.100.5"}, {"sister.example.", "198.51.100.6"},
	} {
		zone, server := of[0], of[1]
		borrowed = append(borrowed,
			serverQuestion{server, "missing." + zone, dns.TypeA}, serverQuestion{server, "zzz." + zone, dns.TypeA},
			serverQuestion{server, "xx." + zone, dns.TypeA},
			serverQuestion{server, zone, dns.TypeMX}, serverQuestion{server, "www." + zone, dns.TypeMX})
	}
	borrowed = append(borrowed,
		serverQuestion{"198.51.100.3", "x.wild.shop.example.", dns.TypeMX}, serverQuestion{"198.51.100.3", "x.wild.shop.example.", dns.TypeA},
		serverQuestion{"198.51.100.3", "ent.shop.example.", dns.TypeA}, serverQuestion{"198.51.100.3", "unsigned.shop.example.", dns.TypeDS},
		serverQuestion{"198.51.100.3", "x.unsigned.shop.example.", dns.TypeA},
		serverQuestion{"198.51.100.4", "child.shop.example.", dns.TypeMX}, serverQuestion{"198.51.100.5", "x.grand.child.shop.example.", dns.TypeA},
		serverQuestion{"198.18.0.2", "plain.example.", dns.TypeDS}, serverQuestion{"198.18.0.2", "www.plain.example.", dns.TypeA})

	// Names that exist, asked for at the server that lies.
	targets := []struct {
		serverQuestion
		want string
	}{
		{serverQuestion{"198.51.100.3", "www.shop.example.", dns.TypeA}, "NOERROR secure 192.0.2.80"},
		{serverQuestion{"198.51.100.3", "x.wild.shop.example.", dns.TypeA}, "NOERROR secure 192.0.2.81"},
		{serverQuestion{"198.51.100.3", "a.ent.shop.example.", dns.TypeA}, "NOERROR secure 192.0.2.82"},
		{serverQuestion{"198.51.100.3", "child.shop.example.", dns.TypeDS}, ""},
		{serverQuestion{"198.51.100.3", "www.child.shop.example.", dns.TypeA}, "NOERROR secure 192.0.2.83"},
		{serverQuestion{"198.51.100.4", "www.grand.child.shop.example.", dns.TypeA}, "NOERROR secure 192.0.2.84"},
		{serverQuestion{"198.18.0.2", "www.shop.example.", dns.TypeA}, "NOERROR secure 192.0.2.80"},
	}
	kinds := []string{"signed", "nsec3", "opt-out"}
	if testing.Short() {
		kinds = kinds[1:2] // TestEachRecordMatters has the others too
	}
	for _, words := range kinds {
		t.Run(words, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(world, words))
				lies := make([]*dns.Msg, len(borrowed))
				for i, b := range borrowed {
					lies[i] = serverSays(t, in, b.server, b.name, b.qtype)
				}
				refused := 0
				for _, target := range targets {
					want := target.want
					honest := in.Resolver(t)
					if got := exchangeResult(honest.Resolve(t.Context(), target.name, target.qtype)); want == "" {
						want = got
					} else if got != want && words != "opt-out" {
						t.Fatalf("%s: got %q, want %q", target.name, got, want)
					} else {
						want = got
					}
					wantThen := refusedThen(t, in.Resolver(t), target.serverQuestion)
					for i, b := range borrowed {
						if b == target.serverQuestion {
							continue
						}
						for _, rcode := range []int{dns.RcodeSuccess, dns.RcodeNameError} {
							if rcode == dns.RcodeNameError && len(lies[i].Answer) > 0 {
								continue
							}
							in.Fault(target.server, resolvertest.Mend(), resolvertest.Hook(func(query, reply *dns.Msg) {
								if asked := query.Question[0]; strings.EqualFold(asked.Name, target.name) ||
									dns.IsSubDomain(strings.ToLower(asked.Name), target.name) && asked.Qtype == dns.TypeA {
									reply.Rcode, reply.Authoritative = rcode, true
									reply.Answer, reply.Ns, reply.Extra = nil, denialOf(lies[i]), nil
								}
							}))
							r := in.Resolver(t)
							got := exchangeResult(r.Resolve(t.Context(), target.name, target.qtype))
							in.Fault(target.server, resolvertest.Mend())
							if got == "bogus" || got == "no reachable server" {
								if refused++; raceDetector && refused%5 != 0 { // one goroutine asks
									continue
								}
								if then := refusedThen(t, r, target.serverQuestion); !slices.Equal(then, wantThen) {
									t.Errorf("%s %s at %s was told %s with the proof for %s %s of %s, which was refused; then the same resolver says %q, want %q",
										target.name, dns.Type(target.qtype), target.server, dns.RcodeToString[rcode], b.name, dns.Type(b.qtype), b.server, then, wantThen)
								}
							} else if got != want {
								t.Errorf("%s %s at %s, with %s and the proof for %s %s of %s: got %q, want %q or bogus",
									target.name, dns.Type(target.qtype), target.server, dns.RcodeToString[rcode],
									b.name, dns.Type(b.qtype), b.server, got, want)
							}
						}
					}
				}
				if refused < 100 {
					t.Errorf("got %d refusals: the lies are not told", refused)
				}
			})
		})
	}
}

// denialOf returns the proof in a reply, without what would make it a referral.
func denialOf(m *dns.Msg) []dns.RR {
	var proof []dns.RR
	for _, rr := range m.Ns {
		if rr.Header().Rrtype != dns.TypeNS && rr.Header().Rrtype != dns.TypeDS {
			proof = append(proof, dns.Copy(rr))
		}
	}
	return proof
}

// A parent's server that removes the DS from a referral, with whatever proof it has at
// hand, does not make the child unsigned.
func TestDowngrade(t *testing.T) {
	for _, words := range []string{"signed", "nsec3"} {
		t.Run(words, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(signedWorld, words, wildcards))
				apex := serverSays(t, in, "198.51.100.4", "child.shop.example.", dns.TypeMX)       // of the child: NS and SOA, no DS
				sibling := serverSays(t, in, "198.51.100.3", "insecure.shop.example.", dns.TypeDS) // a real insecure delegation
				for name, proof := range map[string][]dns.RR{"none": nil, "the child's own": denialOf(apex), "a sibling's": denialOf(sibling)} {
					in.Fault("198.51.100.3", resolvertest.Mend(), resolvertest.Hook(func(query, reply *dns.Msg) {
						if len(reply.Ns) > 0 && reply.Ns[0].Header().Name == "child.shop.example." {
							strip(reply)
							reply.Ns = append(reply.Ns, proof...)
						}
						if query.Question[0].Qtype == dns.TypeDS {
							reply.Answer, reply.Ns = nil, proof
						}
					}))
					// The forged child: unsigned, with another address.
					in.Fault("198.51.100.4", resolvertest.Mend(), resolvertest.Hook(func(_, reply *dns.Msg) { strip(reply); forge(reply) }))
					if got := statusOf(t, in.Resolver(t), "www.child.shop.example."); got != dnssec.Bogus {
						t.Errorf("proof: %s: got %v, want bogus", name, got)
					}
				}
			})
		})
	}
}

// TestAttackApexDeniesDS: the root's own apex record denies its DS, since it has no parent.
// Swapped into the denial of another zone's DS, or that zone's apex record into it, none is
// believed, also where the zone has a trust anchor of its own (RFC 6840 §4.4).
func TestAttackApexDeniesDS(t *testing.T) {
	const world = `
-- zone . at 198.18.0.1 %[1]s --
-- zone example. at 198.18.0.2 %[1]s --
-- zone shop.example. at 198.51.100.3 %[1]s --
www             A       192.0.2.80
`
	for _, words := range []string{"signed", "nsec3"} {
		t.Run(words, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(world, words))
				if got := exchangeResult(in.Resolver(t).Resolve(t.Context(), ".", dns.TypeDS)); got != "NOERROR secure " {
					t.Errorf(". DS: got %q, want a secure denial", got)
				}
				var text strings.Builder
				for _, rr := range serverSays(t, in, "198.18.0.2", "shop.example.", dns.TypeDS).Answer {
					if rr.Header().Rrtype == dns.TypeDS {
						fmt.Fprintln(&text, rr)
					}
				}
				own, err := dnssec.ParseAnchors(strings.NewReader(text.String()))
				if err != nil || len(own) == 0 {
					t.Fatalf("anchors %v, %v", own, err)
				}
				apex := map[string]*dns.Msg{
					".":             serverSays(t, in, "198.18.0.1", ".", dns.TypeDS),
					"example.":      serverSays(t, in, "198.18.0.2", "example.", dns.TypeMX),
					"shop.example.": serverSays(t, in, "198.51.100.3", "shop.example.", dns.TypeMX),
				}
				for _, row := range []struct{ server, name, proof string }{
					{"198.18.0.1", ".", "example."},
					{"198.18.0.1", ".", "shop.example."},
					{"198.18.0.2", "shop.example.", "."},
					{"198.18.0.2", "shop.example.", "example."},
					{"198.18.0.2", "shop.example.", "shop.example."},
				} {
					for _, anchors := range [][]dnssec.Anchor{in.Anchors(), append(in.Anchors(), own...)} {
						in.Fault(row.server, resolvertest.Mend(), resolvertest.Hook(func(query, reply *dns.Msg) {
							if query.Question[0].Qtype == dns.TypeDS && strings.EqualFold(query.Question[0].Name, row.name) {
								reply.Rcode, reply.Authoritative = dns.RcodeSuccess, true
								reply.Answer, reply.Ns = nil, denialOf(apex[row.proof])
							}
						}))
						r := in.Resolver(t, func(o *resolver.Options) { o.TrustAnchors = anchors })
						got := exchangeResult(r.Resolve(t.Context(), row.name, dns.TypeDS))
						if got != "bogus" && got != "no reachable server" {
							t.Errorf("%s DS with the apex record of %s, %d anchors: got %q, want it refused", row.name, row.proof, len(anchors), got)
						}
						if got := exchangeResult(r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)); got != "NOERROR secure 192.0.2.80" {
							t.Errorf("%s DS with the apex record of %s, %d anchors: then www.shop.example. is %q", row.name, row.proof, len(anchors), got)
						}
					}
				}
			})
		})
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/dnssec/anchorfile"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const signedWorld = `
-- zone shop.example. at 198.51.100.3 signed --
www     A     192.0.2.80
alias   CNAME www

-- zone bad.example. at 198.51.100.4 signed break=corrupt:www/A --
www     A     192.0.2.81
`

func TestNames(t *testing.T) {
	www, err := dnssec.ParseName("WWW.Shop.example")
	if err != nil || www.String() != "www.shop.example." {
		t.Fatal(www, err)
	}
	var shop dnssec.Name = www.Parent()
	host, err := shop.Child("www")
	if err != nil || host != www || www.Label() != "www" || www.Labels() != 3 || www.Ancestor(2) != shop {
		t.Error(host, err, www.Label(), www.Labels(), www.Ancestor(2))
	}
	if !www.IsBelow(shop) || shop.IsBelow(shop) || !shop.IsAtOrBelow(shop) || shop.IsRoot() || !shop.Ancestor(0).IsRoot() {
		t.Error("the order of the tree")
	}
	if any, err := shop.Wildcard(); err != nil || !any.IsWildcard() || any.String() != "*.shop.example." {
		t.Error(any, err)
	}
	net, err := dnssec.ParseName("net.")
	if err != nil {
		t.Fatal(err)
	}
	if moved, err := www.Replace(shop, net); err != nil || moved.String() != "www.net." {
		t.Error(moved, err)
	}
	if _, err := dnssec.ParseName("a..b"); err == nil {
		t.Error("an empty label is taken")
	}
}

// A signedNet is an Internet, and what is needed to validate what its servers say.
type signedNet struct {
	*testing.T
	in        *resolvertest.Internet
	validator *dnssec.Validator
}

func newSignedNet(t *testing.T) *signedNet {
	in := resolvertest.New(t, signedWorld)
	v, err := dnssec.New(dnssec.Options{
		Anchors:    in.Anchors(),
		Algorithms: map[uint8]dnssec.Algorithm{dns.PRIVATEDNS: yes{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &signedNet{t, in, v}
}

// ask returns what a server of a zone says.
func (n *signedNet) ask(zone, name string, rrtype uint16) *dnssec.Response {
	n.Helper()
	conn, err := n.in.Dial(n.Context(), "tcp", n.in.Servers(zone)[0].String()+":53")
	if err != nil {
		n.Fatal(err)
	}
	defer conn.Close()
	query := new(dns.Msg).SetQuestion(name, rrtype)
	query.SetEdns0(1232, true)
	reply, _, err := new(dns.Client).ExchangeWithConn(query, &dns.Conn{Conn: conn})
	if err != nil {
		n.Fatal(err)
	}
	response, err := dnssec.NewResponse(reply, zone)
	if err != nil {
		n.Fatal(err)
	}
	return response
}

func (n *signedNet) evidence(limits dnssec.Limits) (*dnssec.Evidence, *dnssec.Work) {
	work := dnssec.NewWork(limits)
	return n.validator.Evidence(n.in.Now(), n.in.Now(), work), work
}

// judge fetches what is needed until there is a verdict.
func (n *signedNet) judge(e *dnssec.Evidence, r *dnssec.Response) (*dnssec.Verdict, error) {
	n.Helper()
	for range 10 {
		verdict, needs, err := e.Validate(r)
		if verdict != nil || err != nil {
			return verdict, err
		}
		for _, need := range needs {
			e.Add(n.ask(need.Zone.String(), need.Name.String(), need.Type))
		}
	}
	n.Fatal("still no verdict")
	return nil, nil
}

func TestValidator(t *testing.T) {
	n := newSignedNet(t)
	e, work := n.evidence(dnssec.Limits{})
	e.StopWhen(t.Context().Err)
	shop, err := dnssec.ParseName("shop.example.")
	if err != nil {
		t.Fatal(err)
	}
	e.AddCut(shop.Parent(), shop)
	if needs := e.Prefetch(shop); len(needs) == 0 {
		t.Error("nothing is needed to judge the first name")
	}
	response := n.ask("shop.example.", "www.shop.example.", dns.TypeA)
	verdict, err := n.judge(e, response)
	if err != nil || verdict.Status != dnssec.Secure || verdict.Err() != nil || !verdict.AuthenticData() || verdict.Zone != shop {
		t.Fatalf("%+v, %v", verdict, err)
	}
	if spent := work.Spent(); spent.SignatureChecks == 0 {
		t.Errorf("%+v", spent)
	}

	chain := verdict.Chain(response)
	if s := chain[0].String(); !strings.Contains(s, "DNSKEY") {
		t.Error(s)
	}
	for _, verify := range []func() (*dnssec.Verdict, error){
		func() (*dnssec.Verdict, error) { return dnssec.VerifyChain(chain, n.in.Anchors(), n.in.Now()) },
		func() (*dnssec.Verdict, error) { return n.validator.VerifyChain(chain, n.in.Now()) },
	} {
		if again, err := verify(); err != nil || again.Status != dnssec.Secure {
			t.Error(again, err)
		}
	}

	n.checkForms(chain)

	// What was proven for one question serves the next.
	cut, keys := e.Delegation(shop), e.KeySet(shop)
	if cut == nil || cut.Kind.String() != "signed" || keys == nil || keys.RRset.Len() == 0 {
		t.Fatal(cut, keys)
	}
	if records := keys.RRset.Size() + cut.DS.Size(); keys.Size() <= records || cut.Size() >= keys.Size() {
		t.Error(keys.Size(), cut.Size(), records)
	}
	next, _ := n.evidence(dnssec.Limits{})
	next.AddDelegation(cut)
	next.AddKeySet(keys)
	if verdict, needs, err := next.Validate(response); err != nil || verdict == nil || verdict.Status != dnssec.Secure {
		t.Error(verdict, needs, err)
	}
	later, _ := n.evidence(dnssec.Limits{})
	later.Add(cut.Response())
	later.Add(keys.Response())
	if d, needs, err := later.Judge(shop); d != nil || len(needs) == 0 || err != nil {
		t.Error(d, needs, err) // the keys of the root are missing
	}
	if d, _, err := e.Judge(shop); err != nil || d == nil || d.Name != shop {
		t.Error(d, err)
	}
	if z, _, err := e.JudgeZone(shop); err != nil || z == nil || z.Status != dnssec.Secure {
		t.Error(z, err)
	}
}

// checkForms has a chain written and read in the forms that others can check.
func (n *signedNet) checkForms(chain []dnssec.Link) {
	n.Helper()
	last, anchors := &chain[len(chain)-1], n.in.Anchors()
	form, err := dnssec.AppendAuthenticationChain(nil, chain)
	if err != nil {
		n.Fatal(err)
	}
	if verdict, err := dnssec.VerifyAuthenticationChain(form, last.Name, last.Type, anchors, n.in.Now()); err != nil || verdict.Status != dnssec.Secure {
		n.Error(verdict, err)
	}
	if links, err := dnssec.ParseAuthenticationChain(form, last.Name, last.Type); err != nil || len(links) != len(chain) {
		n.Error(links, err)
	}
	if _, err := dnssec.ParseAuthenticationChain([]byte("garbage"), last.Name, last.Type); !errors.Is(err, dnssec.ErrAuthenticationChain) {
		n.Error(err)
	}
	s := dnssec.StoredChain{Name: last.Name, Type: last.Type, Answered: n.in.Now(), Status: dnssec.Secure, Chain: chain}
	file, err := s.AppendBinary(nil)
	if err != nil {
		n.Fatal(err)
	}
	if again, err := s.MarshalBinary(); err != nil || !bytes.Equal(again, file) {
		n.Error(again, err)
	}
	var read dnssec.StoredChain
	if err := read.UnmarshalBinary(file); err != nil || read.String() != "www.shop.example. A secure" {
		n.Error(read.String(), err)
	}
	all, err := dnssec.ReadStoredChains(bytes.NewReader(file))
	if err != nil || len(all) != 1 {
		n.Fatal(all, err)
	}
	if verdict, err := all[0].Verify(anchors, time.Time{}); err != nil || verdict.Status != dnssec.Secure {
		n.Error(verdict, err)
	}
	if from, until := all[0].Valid(); !from.Before(n.in.Now()) || !until.After(n.in.Now()) {
		n.Error(from, until)
	}
	if err := read.UnmarshalBinary(file[1:]); !errors.Is(err, dnssec.ErrStoredChain) {
		n.Error(err)
	}
}

// memory remembers good signatures.
type memory map[dnssec.SignatureID]bool

func (m memory) Has(id dnssec.SignatureID) bool { return m[id] }
func (m memory) Add(id dnssec.SignatureID)      { m[id] = true }

func TestSignatureMemory(t *testing.T) {
	n, known := newSignedNet(t), memory{}
	response := n.ask("shop.example.", "www.shop.example.", dns.TypeA)
	for _, fresh := range []bool{true, false} {
		e, work := n.evidence(dnssec.Limits{})
		e.Remember(known)
		if verdict, err := n.judge(e, response); err != nil || verdict.Status != dnssec.Secure {
			t.Fatal(verdict, err)
		}
		if checks := work.Spent().SignatureChecks; fresh && checks != len(known) || !fresh && checks != 0 {
			t.Errorf("first: %t, %d checks, %d signatures known", fresh, checks, len(known))
		}
	}
}

func TestDenial(t *testing.T) {
	n := newSignedNet(t)
	e, _ := n.evidence(dnssec.Limits{})
	response := n.ask("shop.example.", "nobody.shop.example.", dns.TypeA)
	if response.Kind.String() != "name error" {
		t.Fatal(response.Kind)
	}
	verdict, err := n.judge(e, response)
	if err != nil || verdict.Denial == nil {
		t.Fatal(verdict, err)
	}
	other, err := response.Zone.Child("another")
	if err != nil {
		t.Fatal(err)
	}
	d, err := dnssec.Synthesise(response.Zone, other, dns.TypeA, verdict.Denial.Records, dnssec.NewWork(dnssec.Limits{}))
	if err != nil || d == nil || !d.NameError {
		t.Error(d, err)
	}
}

func TestBogus(t *testing.T) {
	n := newSignedNet(t)
	response := n.ask("bad.example.", "www.bad.example.", dns.TypeA)
	e, _ := n.evidence(dnssec.Limits{})
	verdict, err := n.judge(e, response)
	if err != nil || verdict.Status.String() != "bogus" || dnssec.Secure.Worst(verdict.Status) != dnssec.Bogus {
		t.Fatal(verdict, err)
	}
	var bogus *dnssec.BogusError
	if !errors.As(verdict.Err(), &bogus) || bogus.Error() == "" || bogus.Unwrap() != nil {
		t.Fatal(verdict.Err())
	}
	if code, ok := bogus.Reason.EDE(); !ok || code != dns.ExtendedErrorCodeDNSBogus || bogus.Reason.String() == bogus.Reason.Code.String() {
		t.Error(code, ok, bogus.Reason)
	}

	e, _ = n.evidence(dnssec.Limits{SignatureChecks: 1})
	_, err = n.judge(e, response)
	var limit *dnssec.LimitError
	if !errors.As(err, &limit) || limit.Max != 1 || !strings.Contains(limit.Error(), limit.Limit.String()) {
		t.Error(err)
	}

	e, _ = n.evidence(dnssec.Limits{})
	_, needs, err := e.Validate(response)
	if err != nil || len(needs) == 0 {
		t.Fatal(needs, err)
	}
	for _, need := range needs {
		e.Fail(need, context.DeadlineExceeded)
	}
	if verdict, err = n.judge(e, response); err != nil || !errors.As(verdict.Err(), &bogus) || !errors.Is(bogus.Unwrap(), context.DeadlineExceeded) {
		t.Error(verdict, err)
	}
}

func TestRRsets(t *testing.T) {
	n := newSignedNet(t)
	response := n.ask("shop.example.", "shop.example.", dns.TypeDNSKEY)
	keys := response.Answer[0]
	if keys.Len() != 2 || keys.Len() != keys.Records.Len() || keys.Size() < 100 {
		t.Fatal(keys.Len(), keys.Size())
	}
	seps := 0
	for rdata := range keys.Records.All() {
		key, err := dnssec.ParseKey(rdata)
		if err != nil || !key.IsZoneKey() || key.IsRevoked() || key.String() == "" {
			t.Error(key, err)
		}
		if key.IsSEP() {
			seps++
		}
	}
	if seps != 1 {
		t.Errorf("%d keys are secure entry points", seps)
	}
	for rdata := range keys.Signatures.All() {
		if sig, err := dnssec.ParseSignature(rdata); err != nil || sig.Signer != keys.Owner {
			t.Error(sig, err)
		}
	}
	for rdata := range n.ask("example.", "shop.example.", dns.TypeDS).Answer[0].Records.All() {
		if ds, err := dnssec.ParseDS(rdata); err != nil || ds.String() == "" {
			t.Error(ds, err)
		}
	}

	records, err := keys.AppendRRs(nil, 60, true)
	if err != nil {
		t.Fatal(err)
	}
	one, err := dnssec.NewRRset(records...)
	if err != nil || one.Records != keys.Records {
		t.Error(one, err)
	}
	if sets, err := dnssec.GroupRRsets(records, false); err != nil || len(sets) != 1 || sets[0].Owner != keys.Owner {
		t.Error(sets, err)
	}
	if got := slices.Collect(dnssec.Pack("a", "bc").All()); !slices.Equal(got, []string{"a", "bc"}) {
		t.Error(got)
	}
	if dnssec.AlgorithmName(15) != "ED25519" || dnssec.DigestName(2) != "SHA256" {
		t.Error(dnssec.AlgorithmName(15), dnssec.DigestName(2))
	}
}

func TestAnchors(t *testing.T) {
	for _, a := range dnssec.DefaultAnchors() {
		again, err := dnssec.ParseAnchors(strings.NewReader(a.String()))
		if err != nil || len(again) != 1 || again[0].Tag() != a.Tag() || again[0].Zone() != "." {
			t.Error(again, err)
		}
		rr, err := dns.NewRR(a.String())
		if err != nil {
			t.Fatal(err)
		}
		if made, err := dnssec.NewAnchor(rr); err != nil || made.Tag() != a.Tag() {
			t.Error(made, err)
		}
	}

	n := newSignedNet(t)
	r, err := dnssec.NewRollover(n.in.Anchors(), n.in.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, next, err := r.Update(n.ask(".", ".", dns.TypeDNSKEY).Answer[0], n.in.Now())
	if err != nil || !next.After(n.in.Now()) {
		t.Fatal(next, err)
	}
	stored, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = dnssec.ParseRollover(stored); err != nil {
		t.Fatal(err)
	}
	if anchors, err := r.Anchors(); err != nil || len(anchors) == 0 {
		t.Error(anchors, err)
	}
	if r, _, err = r.UpdateWith(dnssec.Options{}, n.ask(".", ".", dns.TypeDNSKEY).Answer[0], n.in.Now()); err != nil {
		t.Error(err)
	}
	adopted, err := r.Adopt(n.in.Anchors(), n.in.Now())
	if err != nil || len(adopted.Keys) != len(r.Keys) {
		t.Error(adopted, err)
	}
	if kept, err := r.KeepRevoked(adopted); err != nil || len(kept.Keys) != len(r.Keys) {
		t.Error(kept, err)
	}
	var store dnssec.RolloverStore = anchorfile.New(filepath.Join(t.TempDir(), "anchors"))
	text, err := dnssec.FormatRollovers([]dnssec.Rollover{r})
	if err == nil {
		err = store.Save(t.Context(), text, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Save(t.Context(), text, nil); !errors.Is(err, dnssec.ErrStoreChanged) {
		t.Error(err)
	}
	read, err := store.Load(t.Context())
	if states, failed := dnssec.ParseRollovers(read); err != nil || failed != nil || len(states) != 1 {
		t.Error(states, err, failed)
	}
	var state dnssec.KeyState
	if text, err := r.Keys[0].State.MarshalText(); err != nil || state.UnmarshalText(text) != nil || state.String() != string(text) {
		t.Error(state, string(text), err)
	}
}

// yes is an algorithm by which every signature is good, and its key.
type yes struct{}

func (yes) ParseKey(string) (dnssec.PublicKey, error) { return yes{}, nil }

func (yes) Cost() int { return 1 }

func (yes) Verify([]byte, string) bool { return true }

// yesterday is a store that has what it is told to have.
type yesterday struct{ text []byte }

func (s yesterday) Load(context.Context) ([]byte, error)       { return s.text, nil }
func (s yesterday) Save(context.Context, []byte, []byte) error { return dnssec.ErrStoreChanged }

func TestAnchorStore(t *testing.T) {
	in := resolvertest.New(t, signedWorld)
	file := anchorfile.New(filepath.Join(t.TempDir(), "anchors"))
	if file.String() == "" {
		t.Error("no path")
	}
	if text, err := file.Load(t.Context()); text != nil || err != nil {
		t.Error(text, err)
	}
	if err := file.Save(t.Context(), nil, []byte("other")); !errors.Is(err, dnssec.ErrStoreChanged) {
		t.Error(err)
	}
	changes := make(chan resolver.AnchorChange, 10)
	r := in.Resolver(t, func(o *resolver.Options) {
		o.AnchorStore = file
		o.AnchorsChanged = func(c resolver.AnchorChange) { changes <- c }
	})
	if c := <-changes; c.Zone != "." || c.Err != nil || len(c.Keys) != 1 {
		t.Errorf("%+v", c)
	}
	if a, states := r.TrustAnchors(), r.Rollovers(); len(a) != 1 || len(states) != 1 || r.Stats().Anchors.Trusted != 1 {
		t.Error(a, states)
	}
	o := in.Options()
	o.AnchorStore = yesterday{[]byte("garbage")}
	if _, err := resolver.New(o); !errors.Is(err, dnssec.ErrRollover) {
		t.Error(err)
	}
}

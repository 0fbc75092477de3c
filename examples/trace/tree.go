package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/resolver"
)

// tree is a walk to be looked at: below each question the zones it came through, below
// each zone the servers asked and the side look-ups it took to find them.
type tree struct {
	began   time.Time
	root    *node
	walks   map[int]*walkNode
	lookups map[lookupKey]*node
	queries map[int]*node // by the query's number
	summary string
}

// walkNode is a question that is being searched, and the zone it has come to.
type walkNode struct {
	question *node
	zone     *node
}

// lookupKey is the search for the address of a name server on behalf of a walk.
type lookupKey struct {
	walk   int
	server string
}

func newTree() *tree {
	return &tree{
		root:    &node{},
		walks:   make(map[int]*walkNode),
		lookups: make(map[lookupKey]*node),
		queries: make(map[int]*node),
	}
}

func (t *tree) trace() *resolver.Trace {
	return &resolver.Trace{
		Joined:       t.joined,
		Cache:        t.cache,
		Start:        t.start,
		Query:        t.query,
		Response:     t.response,
		Referral:     t.referral,
		ServerLookup: t.lookup,
		Alias:        t.alias,
		Validated:    t.validated,
		Done:         t.done,
	}
}

// add puts a line below another.
func (t *tree) add(above *node, s resolver.Step, left, right string) *node {
	if t.began.IsZero() {
		t.began = s.At
	}
	n := &node{at: s.At.Sub(t.began), left: left, right: right, above: above}
	above.below = append(above.below, n)
	return n
}

// walk returns the place of a walk, which is made when it is first heard of.
func (t *tree) walk(s resolver.Step) *walkNode {
	w, ok := t.walks[s.Walk]
	if !ok {
		w = &walkNode{}
		w.question = t.add(t.needed(s), s, questionText(s.Question), "")
		w.zone = w.question
		t.walks[s.Walk] = w
	}
	return w
}

// needed returns the place that a walk is needed for: the look-up of a name server, or
// the zone that its parent has come to.
func (t *tree) needed(s resolver.Step) *node {
	if n, ok := t.lookups[lookupKey{s.Parent, s.Question.Name}]; ok {
		return n
	}
	if parent, ok := t.walks[s.Parent]; ok {
		return parent.zone
	}
	return t.root
}

func (t *tree) joined(i resolver.JoinedInfo) {
	t.add(t.walk(i.Step).zone, i.Step, "shares a question that is under way", "")
}

func (t *tree) cache(i resolver.CacheInfo) {
	w := t.walk(i.Step)
	switch {
	case i.Failure:
		t.add(w.zone, i.Step, "failed a moment ago", "")
	case i.Hit:
		t.add(w.zone, i.Step, "known already", fmt.Sprintf("%s, for another %v", i.Status, i.TTL))
	}
}

func (t *tree) start(i resolver.StartInfo) {
	w := t.walk(i.Step)
	right := "known already: " + serversText(i.Cut)
	if i.Hints {
		right = "root hints: " + count(len(i.Cut.Servers), "server")
	}
	w.zone = t.add(w.question, i.Step, i.Cut.Zone.String(), right)
}

func (t *tree) referral(i resolver.ReferralInfo) {
	w := t.walk(i.Step)
	right := serversText(i.Cut)
	if len(i.DS) > 0 {
		right += ", DS"
	}
	w.zone = t.add(w.question, i.Step, i.Cut.Zone.String(), right)
}

// serversText says how many servers a zone has, and for how many the referral brought
// addresses.
func serversText(cut *glue.Delegation) string {
	text := count(len(cut.Servers), "server")
	glued := 0
	for _, s := range cut.Servers {
		if len(s.Addrs) > 0 {
			glued++
		}
	}
	switch glued {
	case len(cut.Servers):
		return text + " with glue"
	case 0:
		return text + " without glue"
	}
	return fmt.Sprintf("%s, %d with glue", text, glued)
}

func (t *tree) query(i resolver.QueryInfo) {
	w := t.walk(i.Step)
	right := "→ " + i.Server.Addr().String() + " " + hostText(i.ServerName) + overTCP(i.Network)
	if i.Reason != resolver.ReasonBest && i.Reason != resolver.ReasonUnknown {
		right += ", " + string(i.Reason)
	}
	t.queries[i.ID] = t.add(w.zone, i.Step, questionText(i.Asked), right)
}

func (t *tree) response(i resolver.ResponseInfo) {
	n, ok := t.queries[i.ID]
	if !ok {
		return // asked before this caller joined
	}
	delete(t.queries, i.ID)
	if i.Err == nil && !passedOver(i.Kind) {
		n.right += fmt.Sprintf(": %s, %d bytes in %s", i.Kind, len(i.Message), millis(i.RTT))
		return
	}
	i.Network = "" // the line says it
	n.right += ": " + outcome(i)
}

func (t *tree) lookup(i resolver.ServerLookupInfo) {
	key := lookupKey{i.Walk, i.Server}
	n, ok := t.lookups[key]
	if !ok {
		n = t.add(t.walk(i.Step).zone, i.Step, "where is "+i.Server+"?", "")
		t.lookups[key] = n
	}
	switch {
	case i.Err != nil:
		t.add(n, i.Step, "no address", brief(i.Err))
	case len(i.Addrs) > 0:
		t.add(n, i.Step, "at "+joinAddrs(i.Addrs), "")
	}
}

// alias begins a new question: the zones it comes through are below it.
func (t *tree) alias(i resolver.AliasInfo) {
	w := t.walk(i.Step)
	next := i.Question
	next.Name = i.To
	w.question = t.add(w.question.above, i.Step, questionText(next), "again, for the "+aliasType(i.DNAME)+" at "+i.From)
	w.zone = w.question
}

func (t *tree) validated(i resolver.ValidatedInfo) {
	t.add(t.walk(i.Step).zone, i.Step, validatedText(i), i.Status.String()+extendedText(i.Extended))
}

// done puts the answer at the end.
func (t *tree) done(i resolver.DoneInfo) {
	for _, n := range t.queries {
		n.right += ": overtaken by another server"
	}
	top := t.add(t.root, i.Step, verdict(i), "")
	if i.Result != nil {
		for _, rr := range data(i.Result.Answer) {
			t.add(top, i.Step, strings.ReplaceAll(resolver.PrintableRR(rr), "\t", " "), "")
		}
	}
	t.summary = effort(i)
}

package drawing

import (
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/resolver"
)

// Tree is a walk to be looked at: below each question the zones it came through, below
// each zone the servers asked and the side look-ups it took to find them.
type Tree struct {
	began   time.Time
	root    *Node
	walks   map[int]*walkNode
	lookups map[lookupKey]*Node
	queries map[int]*askedNode // by the query's number
	reasons map[resolver.QueryReason]bool
	summary string
	lines   int
}

// walkNode is a question that is being searched, and the zone it has come to.
type walkNode struct {
	question *Node
	zone     *Node
}

// askedNode is the line of a query, and what was asked.
type askedNode struct {
	*Node
	asked dns.Question
}

// lookupKey is the search for the address of a name server on behalf of a walk.
type lookupKey struct {
	walk   int
	server string
}

// NewTree makes a tree without lines.
func NewTree() *Tree {
	return &Tree{
		root:    &Node{},
		walks:   make(map[int]*walkNode),
		lookups: make(map[lookupKey]*Node),
		queries: make(map[int]*askedNode),
		reasons: make(map[resolver.QueryReason]bool),
	}
}

// Trace returns the hooks that the tree grows by. It is for one question.
func (t *Tree) Trace() *resolver.Trace {
	return &resolver.Trace{
		Joined:       t.joined,
		Cache:        t.cache,
		LocalRoot:    t.localRoot,
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
func (t *Tree) add(above *Node, s resolver.Step, left, right string) *Node {
	if t.began.IsZero() {
		t.began = s.At
	}
	t.lines++
	n := &Node{At: s.At.Sub(t.began), Left: left, Right: right, above: above}
	if t.lines <= MaxLines {
		above.Below = append(above.Below, n)
	}
	return n
}

// walk returns the place of a walk, which is made when it is first heard of.
func (t *Tree) walk(s resolver.Step) *walkNode {
	w, ok := t.walks[s.Walk]
	if !ok {
		w = &walkNode{}
		w.question = t.add(t.needed(s), s, QuestionText(s.Question), "")
		w.zone = w.question
		t.walks[s.Walk] = w
	}
	return w
}

// needed returns the place that a walk is needed for: the look-up of a name server, or
// the zone that its parent has come to.
func (t *Tree) needed(s resolver.Step) *Node {
	if n, ok := t.lookups[lookupKey{s.Parent, s.Question.Name}]; ok {
		return n
	}
	if parent, ok := t.walks[s.Parent]; ok {
		return parent.zone
	}
	return t.root
}

func (t *Tree) joined(i resolver.JoinedInfo) {
	t.add(t.walk(i.Step).zone, i.Step, "shares a question that is under way", "")
}

func (t *Tree) cache(i resolver.CacheInfo) {
	w := t.walk(i.Step)
	switch {
	case i.Failure:
		t.add(w.zone, i.Step, "failed a moment ago", "")
	case i.Hit:
		t.add(w.zone, i.Step, "known already", fmt.Sprintf("%s, for another %v", i.Status, i.TTL))
	}
}

func (t *Tree) localRoot(i resolver.LocalRootInfo) {
	t.add(t.walk(i.Step).zone, i.Step, QuestionText(i.Asked), fmt.Sprintf("→ local root, serial %d: %s", i.Serial, i.Kind))
}

func (t *Tree) start(i resolver.StartInfo) {
	w := t.walk(i.Step)
	right := "known already: " + serversText(i.Cut)
	if i.Hints {
		right = "root hints: " + Count(len(i.Cut.Servers), "server")
	}
	if i.LocalRoot {
		right = "local root"
	}
	w.zone = t.add(w.question, i.Step, i.Cut.Zone.String(), right)
	w.zone.begins = true
}

func (t *Tree) referral(i resolver.ReferralInfo) {
	w := t.walk(i.Step)
	right := serversText(i.Cut)
	if len(i.DS) > 0 {
		right += ", DS"
	}
	w.zone = t.add(w.question, i.Step, i.Cut.Zone.String(), right)
	t.servers(w.zone, i)
}

// maxServers is how many servers of a referral are named: all of most zones. Of those of a zone
// with more, one less is named, and the last line counts the rest.
const maxServers = 5

// servers adds the name servers that a referral has named, each with its glue.
func (t *Tree) servers(zone *Node, i resolver.ReferralInfo) {
	named := i.Cut.Servers
	if len(named) > maxServers {
		named = named[:maxServers-1]
	}
	for _, s := range named {
		right := "no glue"
		if len(s.Addrs) > 0 {
			right = "glue " + JoinAddrs(s.Addrs)
		}
		t.add(zone, i.Step, s.Name.String(), right)
	}
	if left := len(i.Cut.Servers) - len(named); left > 0 {
		t.add(zone, i.Step, fmt.Sprintf("and %d more", left), "")
	}
}

// serversText says how many servers a zone has, and for how many the referral brought
// addresses.
func serversText(cut *glue.Delegation) string {
	text := Count(len(cut.Servers), "server")
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

func (t *Tree) query(i resolver.QueryInfo) {
	w := t.walk(i.Step)
	right := "→ " + i.Server.Addr().String() + " " + i.ServerName + OverTCP(i.Network)
	meaning := ""
	if i.Reason != resolver.ReasonBest && i.Reason != resolver.ReasonUnknown {
		right += ", " + string(i.Reason)
		meaning = queryReasons[i.Reason]
		t.reasons[i.Reason] = true
	}
	n := t.add(w.zone, i.Step, QuestionText(i.Asked), right)
	n.Meaning = meaning
	t.queries[i.ID] = &askedNode{n, i.Asked}
}

func (t *Tree) response(i resolver.ResponseInfo) {
	n, ok := t.queries[i.ID]
	if !ok {
		return // asked before this caller joined
	}
	delete(t.queries, i.ID)
	if i.Err == nil && !PassedOver(i.Kind) {
		n.Right += fmt.Sprintf(": %s. Received %d bytes in %s", KindText(i, n.asked), len(i.Message), Millis(i.RTT))
		return
	}
	i.Network = "" // the line says it
	n.Right += ": " + Outcome(i)
}

func (t *Tree) lookup(i resolver.ServerLookupInfo) {
	key := lookupKey{i.Walk, i.Server}
	n, ok := t.lookups[key]
	if !ok {
		n = t.add(t.walk(i.Step).zone, i.Step, "where is "+i.Server+"?", "")
		t.lookups[key] = n
	}
	switch {
	case i.Err != nil:
		t.add(n, i.Step, "no address", Brief(i.Err))
	case len(i.Addrs) > 0:
		t.add(n, i.Step, "at "+JoinAddrs(i.Addrs), "")
	}
}

// alias begins a new question: the zones it comes through are below it.
func (t *Tree) alias(i resolver.AliasInfo) {
	w := t.walk(i.Step)
	next := i.Question
	next.Name = i.To
	w.question = t.add(w.question.above, i.Step, QuestionText(next), "again, for the "+AliasType(i.DNAME)+" at "+i.From)
	w.zone = w.question
}

func (t *Tree) validated(i resolver.ValidatedInfo) {
	n := t.add(t.walk(i.Step).zone, i.Step, ValidatedText(i), i.Status.String()+ExtendedText(i.Extended))
	n.validated = true
}

// done puts the answer at the end.
func (t *Tree) done(i resolver.DoneInfo) {
	for _, n := range t.queries {
		n.Right += ": overtaken by another server"
	}
	top := t.add(t.root, i.Step, Verdict(i), "")
	if i.Result != nil {
		for _, rr := range data(i.Result.Answer) {
			t.add(top, i.Step, strings.ReplaceAll(resolver.PrintableRR(rr), "\t", " "), "")
		}
	}
	t.summary = Effort(i)
}

package drawing

import (
	"cmp"
	"slices"

	"github.com/iterdns/iterdns/resolver"
)

// Term is a word that a reader may not know, and what it means.
type Term struct{ Word, Meaning string }

// queryReasons say why a query is sent, in a few words.
var queryReasons = map[resolver.QueryReason]string{
	resolver.ReasonNext:       "the servers asked before sent nothing usable",
	resolver.ReasonHedge:      "the reply of the server asked first is late, so another one is asked as well",
	resolver.ReasonProbe:      "a server that is marked down is tried again",
	resolver.ReasonTruncated:  "the reply over UDP was truncated",
	resolver.ReasonSpoofed:    "a reply over UDP looked forged",
	resolver.ReasonCase:       "the server did not repeat the letter case of the question",
	resolver.ReasonNoEDNS:     "the server does not support EDNS",
	resolver.ReasonNoOption:   "the server does not accept EDNS options",
	resolver.ReasonLastResort: "every server has failed, so one is asked in the plainest way",
	resolver.ReasonCookie:     "the server requires its cookie",
	resolver.ReasonLoop:       "a check whether a route leads back here",
	resolver.ReasonConnection: "the server had closed the connection",
	resolver.ReasonNetwork:    "this network seems to let no DNS over UDP through",
}

// Terms explain the words of the tree for why a query was sent, in alphabetical order.
func (t *Tree) Terms() []Term {
	var terms []Term
	for reason := range t.reasons {
		if meaning := queryReasons[reason]; meaning != "" {
			terms = append(terms, Term{string(reason), meaning})
		}
	}
	slices.SortFunc(terms, func(a, b Term) int { return cmp.Compare(a.Word, b.Word) })
	return terms
}

// Fold puts what repeats itself below a line that says so: when data is bogus, a question is asked again
// of other servers, and mostly ends as before.
func Fold(nodes []*Node) {
	for _, n := range nodes {
		Fold(n.Below)
		n.Below = foldRounds(n.Below)
	}
}

// foldRounds folds the rounds that end as the one before them.
func foldRounds(nodes []*Node) []*Node {
	first := slices.IndexFunc(nodes, func(n *Node) bool { return n.begins })
	if first < 0 {
		return nodes
	}
	folded := slices.Clone(nodes[:first])
	last, repeats := "", (*Node)(nil)
	times := 0
	for round := nodes[first:]; len(round) > 0; {
		end := 1
		for end < len(round) && !round[end].begins {
			end++
		}
		found := foundIn(round[:end])
		switch {
		case found == "" || found != last:
			folded, repeats, times = append(folded, round[:end]...), nil, 0
		case repeats == nil:
			repeats = &Node{At: round[0].At, Folded: true, above: round[0].above}
			folded = append(folded, repeats)
			fallthrough
		default:
			times++
			repeats.Left = "asked again " + Count(times, "time") + ", with the same result"
			repeats.Below = append(repeats.Below, round[:end]...)
		}
		last, round = found, round[end:]
	}
	return folded
}

// foundIn returns what validation found last; "" if nothing was validated.
func foundIn(nodes []*Node) string {
	text := ""
	for _, n := range nodes {
		if n.validated {
			text = n.Left + " " + n.Right
		}
		text = cmp.Or(foundIn(n.Below), text)
	}
	return text
}

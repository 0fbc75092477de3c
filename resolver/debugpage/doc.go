// Package debugpage is a page that shows what a resolver does, to be mounted in a program like
// net/http/pprof and expvar:
//
//	page, err := debugpage.New(r, debugpage.Options{Ask: true})
//	…
//	defer page.Close()
//	http.Handle("/debug/dns/", page)
//
// It shows live figures as small plots (questions, hit ratio, queries to servers, failures and their
// reasons, latencies); what is known about servers (round-trip time, marked down, EDNS, cookies);
// delegations and cache by name; and, when Options.Ask allows it, an explanation of a name: a paragraph on
// why there is no answer, the chain of trust as a picture, the walk as a tree. It needs no JavaScript.
//
// # Who may see it
//
// The page shows which names were asked for, and thereby what people do (RFC 9076). It is for the operators
// of the program only. By default it answers only clients on this host: every user of the host is one, and
// so is every program on it that forwards requests without saying so in Forwarded, X-Forwarded-For or
// X-Real-IP. Options.Token adds a secret, and Options.Remote, which requires a Token, lets other hosts in.
// Use TLS then: without it the token and the page can be read in transit.
//
// Requests for another host name than those of Options.Hosts are refused, so that a web page
// elsewhere cannot read this one by DNS rebinding, and so are requests that a browser makes for
// another site. Only POST asks a question; GET changes nothing but which aliases count as lately used.
//
// All text from the network is escaped and printable, and the Content-Security-Policy allows no
// script and no inline style.
//
// # Cost
//
// One goroutine reads [resolver.Resolver.Stats] every ten seconds and keeps the last 180 figures.
// Two requests at a time look at servers or cache, which takes time in proportion to what is
// there, and two at a time ask a question, for 15 s at most.
//
// # Limitations
//
// Times of questions are those that went through [Page.Watch]. The chain of trust is judged once more with
// the trust anchors of the resolver, but without its negative trust anchors and routes, and explaining a
// name asks the root servers instead of a local root; the status beside the answer is the resolver's own.
// Where resolvers share a cache, the page shows all of it.
package debugpage

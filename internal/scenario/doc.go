// Package scenario decides whether a text describes a DNS network and steps in it:
// the text form of package resolvertest, and the scenario files of package
// resolver, which are such a text with questions and their expected results.
//
// In comes the text; out come its sections, headers and steps, or an [Error] with the
// line. It never reads a zone or a fault (resolvertest does) and never runs a step.
//
//	# A server adds an address for a name that it has no say over.
//	-- zone shop.example. at 198.51.100.3 --
//	www             A   192.0.2.80
//	-- fault 198.51.100.3 --
//	add additional  ns.victim.example. A 203.0.113.66
//	-- ask www.shop.example. A --
//	NOERROR insecure
//	www.shop.example. 300 IN A 192.0.2.80
//	-- expect queries <= 3 --
//
// A text has sections, each of a header line `-- kind word ... --` and a body. The
// kinds zone, fault and intercept make up the network; this package reads their
// headers, resolvertest the rest. The other kinds are steps:
//
//	-- option NAME=VALUE --      a setting of the resolver; before the first ask.
//	                             route=ZONE=SERVER,… adds a route (resolver.ParseRoute);
//	                             fallback=ADDRESS is a resolver outside, which no change of
//	                             the network reaches; clock=DURATION sets the clock wrong
//	-- ask NAME TYPE --          a question, with the result below
//	-- expect queries N --       how many queries the last question took; <= before
//	                             N for at most, and after it any of: to ADDRESS,
//	                             name NAME, not-name NAME, type TYPE, over NETWORK
//	-- expect time DURATION --   how long the last question took; <= for at most
//	-- expect network NAME --    what the network lets through: open, tcp or closed
//	-- negative-anchors ZONE … -- replaces the negative trust anchors; none ends them
//	-- sleep DURATION --         time passes
//
// Below an ask stands the RCODE and, if it matters, the DNSSEC status, and behind it what
// the answer has to be: stale, from the fallback, or fresh, which is neither; then the
// records of the answer, signatures left out; then, after a line `authority:` and
// if that matters, those of the authority section. A line `error`, with words that
// the text of the error must have, says that the question fails.
//
// A section of the network behind the first question changes the network at that
// point.
//
// A line whose first character other than blanks is # is a comment.
package scenario

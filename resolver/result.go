package resolver

import (
	"context"
	"io"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/printable"
)

// Result is what DNS says about a question. It belongs to the caller, who may change it.
type Result struct {
	// Question is what was asked, its name absolute and in lower case.
	Question dns.Question
	// Rcode is that of the last name of the alias chain (RFC 6604): NOERROR (with
	// records, or without: NODATA), NXDOMAIN, or YXDOMAIN for a DNAME that makes
	// the name too long (RFC 6672 §2.2).
	Rcode int
	// Answer is the alias chain in order, then the RRset asked for, each with the
	// RRSIG records over it.
	Answer []dns.RR
	// Authority is the SOA and the denial of existence of a negative answer.
	Authority []dns.RR
	// Status is the DNSSEC status of the whole: the least secure of its parts.
	Status dnssec.Status
	// TTL is how long the whole may be kept: the lowest of its parts, counted down from
	// when they were received.
	TTL time.Duration
	// Stale is set when a part has expired and the zone could not be asked again, or not in
	// time (RFC 8767), or sent bogus data. It is never set without Options.ServeStale or
	// Options.ServeStaleOverBogus.
	Stale bool
	// FromCache is set when the whole answer was known before and no server was asked for
	// it.
	FromCache bool
	// Fallback is set when a part comes from Options.Fallback, because no root server could be asked.
	// Secure data is as good as any other; unsigned data is only the fallback's word, and has an extended
	// DNS error that says so.
	Fallback bool
	// Queries is how many queries left this host for this question, those for zones on the way and
	// for keys and addresses of name servers included, and QueriesTLS how many of them went over
	// TLS. Both are 0 where the answer was known before (FromCache), or came from an equal
	// question that was being asked already: how that was asked is not kept.
	Queries, QueriesTLS int
	// Extended are the extended DNS errors that say more about the answer (RFC 8914). Nil:
	// none.
	Extended []ExtendedError
	// NotKept says why the cache did not keep a part of the answer, or kept it, being over the limit
	// MaxEntry, for cache.MaxBriefTTL at most, so that it costs queries again and again. It is a
	// *cache.LimitError, which names the field of cache.Options that raises the limit; Extended has it too.
	// Nil for answers that were kept, came from the cache, or have a TTL of 0.
	NotKept error
	// Chain is the evidence for Status, from the keys of a trust anchor down: every DNSKEY
	// and DS RRset, or denial of a DS, with its signatures, each after those that it rests
	// on, and last the whole answer, with its aliases and denials. With the same trust
	// anchors it can be validated again without a network (dnssec.VerifyChain), as of a
	// time when its signatures are valid.
	//
	// It is filled for questions asked with WithChain. For an answer from the cache it is assembled and
	// validated again; keys that have expired meanwhile are then fetched. It is nil when that fails, and
	// when nothing is validated.
	Chain []dnssec.Link
}

// Canonical returns the name that the alias chain ends at; without aliases it is the name
// of the question.
func (r *Result) Canonical() string {
	name := r.Question.Name
	for _, rr := range r.Answer {
		// Only a CNAME at the name reached so far leads on; if that has two, which no zone
		// should have, the first does.
		if c, ok := rr.(*dns.CNAME); ok && r.Question.Qtype != dns.TypeCNAME && dns.CanonicalName(c.Hdr.Name) == dns.CanonicalName(name) {
			name = c.Target
		}
	}
	return name
}

// resultOf makes a Result of an answer.
func resultOf(a *answer.Answer) (*Result, error) {
	d, err := a.Decode()
	if err != nil {
		return nil, err
	}
	return newResult(&d), nil
}

// newResult makes a Result of a decoded answer, whose records become the Result's.
func newResult(d *answer.Decoded) *Result {
	return &Result{
		Question: d.Question, Rcode: d.Rcode, Answer: d.Answer, Authority: d.Authority, Status: d.Status,
		TTL: d.TTL, Stale: d.Stale, FromCache: d.FromCache, Fallback: d.Fallback, Extended: convertExtended[ExtendedError](d.Extended), NotKept: d.NotKept,
	}
}

// decoded is the reverse of newResult, but for Chain, which no reply has.
func (r *Result) decoded() *answer.Decoded {
	return &answer.Decoded{
		Question: r.Question, Rcode: r.Rcode, Answer: r.Answer, Authority: r.Authority, Status: r.Status,
		TTL: r.TTL, Stale: r.Stale, FromCache: r.FromCache, Fallback: r.Fallback, Extended: convertExtended[failure.ExtendedError](r.Extended), NotKept: r.NotKept,
	}
}

type chainKey struct{}

// WithChain returns a context with which Resolve fills Result.Chain, or Error.Chain when
// the answer is bogus. Without it chains cost nothing.
func WithChain(ctx context.Context) context.Context {
	return context.WithValue(ctx, chainKey{}, true)
}

func wantsChain(ctx context.Context) bool { return ctx.Value(chainKey{}) != nil }

// Printable returns text with every byte of unprintable characters as \DDD, the form of
// zone files (RFC 1035 §5.1): control characters, line ends and tabs included, characters
// that change the direction of writing, and invalid UTF-8. Text from servers (RDATA,
// extended errors, the names in certificates) may hold any of them, and terminals obey
// some.
func Printable(text string) string { return printable.Except(text, "") }

// PrintableRR returns a record in the syntax of zone files, as its String method does, but
// printable: not all types of miekg/dns escape their data. The tabs between its fields
// stay.
func PrintableRR(rr dns.RR) string {
	if null, ok := rr.(*dns.NULL); ok {
		shown := *null
		shown.Data = Printable(null.Data)
		rr = &shown
	}
	return printable.Except(rr.String(), "\t")
}

// PrintableWriter returns a writer to w that makes what is written to it printable, except
// for line ends and tabs. It is for the output of programs, so that no text of servers
// reaches a terminal unescaped, even in a line where Printable was forgotten. A character
// must not be split between two writes.
func PrintableWriter(w io.Writer) io.Writer { return printableWriter{w} }

type printableWriter struct{ w io.Writer }

// Write writes b, made printable. It returns the count of bytes of b.
func (p printableWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, printable.Lines(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

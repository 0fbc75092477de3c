package debugpage

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
)

// explained is the content of the page that explains a name.
type explained struct {
	Ask         bool
	Asked, Type string // as asked for
	Wrong       string // what is wrong with them
	Answer      *answer
}

// answer is what became of a question.
type answer struct {
	Question  string
	Anew      bool
	Failed    bool
	FromCache bool
	Status    string
	Verdict   string // in a few words
	Reason    string // in a paragraph
	Notes     []string
	Records   []string
	Picture   template.HTML
	Narrow    template.HTML // the picture for narrow screens
	Trust     []*drawing.Node
	Walk      []*drawing.Node
	Terms     []drawing.Term // words of the walk that need a meaning
	Effort    string
}

// explain shows the form, and for POST what became of the question in it.
func (p *Page) explain(w http.ResponseWriter, r *http.Request) (*explained, error) {
	if r.Method != http.MethodPost {
		query := r.URL.Query()
		return &explained{Ask: p.options.Ask, Asked: strings.TrimSpace(query.Get("name")), Type: strings.TrimSpace(query.Get("type"))}, nil
	}
	if !p.options.Ask {
		return nil, &refusal{http.StatusForbidden, "This page does not ask questions (Options.Ask)."}
	}
	const maxForm = 8 << 10 // a name has some thousand characters at most, escaped
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, &refusal{http.StatusBadRequest, "The form cannot be read."}
	}
	e := &explained{Ask: true, Asked: strings.TrimSpace(r.PostForm.Get("name")), Type: strings.TrimSpace(r.PostForm.Get("type"))}
	if e.Type == "" {
		e.Type = "A"
	}
	qtype, err := drawing.ParseType(e.Type)
	if err != nil {
		e.Wrong = "That is no record type; one is A, AAAA, MX, TXT or TYPE65534."
		return e, nil
	}
	if _, err := parseName(e.Asked); err != nil || e.Asked == "" {
		e.Wrong = "That is no domain name. A name has labels of 1 to 63 bytes between dots, and at most 255 bytes."
		if errors.Is(err, errBlank) {
			e.Wrong = blankText
		}
		return e, nil
	}
	// The server may have deadlines that are shorter than a question takes. Each request sets them
	// anew, unless it has none: then one from here would stay. Not every server can change them.
	control := http.NewResponseController(w)
	_, _ = control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})
	free, err := p.slot(r.Context(), p.asking)
	if err != nil {
		return nil, err
	}
	defer free()
	ctx, cancel := context.WithTimeout(r.Context(), askFor)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	e.Answer, err = p.ask(ctx, e.Asked, qtype, r.PostForm.Get("anew") != "")
	return e, err
}

// ask asks the resolver, as its clients do, or a new one with the same options, which knows
// nothing yet.
func (p *Page) ask(ctx context.Context, name string, qtype uint16, anew bool) (*answer, error) {
	r := p.resolver
	if anew {
		var err error
		if r, err = p.fresh(); err != nil {
			return nil, &refusal{http.StatusInternalServerError, "No resolver can be made with the options of this one."}
		}
		defer r.Close()
	}
	tree, walk := drawing.NewTree(), &drawing.Walk{}
	ctx = resolver.WithTrace(resolver.WithChain(ctx), walk.Watch(tree.Trace()))
	result, err := r.Resolve(ctx, name, qtype)
	a := &answer{Question: drawing.QuestionText(dns.Question{Name: dns.Fqdn(name), Qtype: qtype}), Anew: anew}
	chain := a.outcome(result, err)
	a.Walk, a.Effort = tree.Lines()
	drawing.Fold(a.Walk)
	a.Terms = tree.Terms()
	trust := &drawing.Trust{}
	if len(chain) > 0 {
		o := r.Options()
		o.TrustAnchors = r.TrustAnchors()
		if judged, err := drawing.Judge(chain, o, o.SignatureTime()); err == nil {
			trust, a.Trust = judged, judged.Outline()
			a.mismatches(judged)
		}
	}
	if picture := drawing.NewPicture(a.Question, trust, walk); picture.Zones() > 0 {
		a.Picture = template.HTML(drawing.InlineSVG(picture)) // it escapes what it draws
		a.Narrow = template.HTML(drawing.NarrowSVG(picture))  // so does this
	}
	return a, nil
}

// mismatches notes in what way keys and DS records of a zone do not match.
func (a *answer) mismatches(t *drawing.Trust) {
	for _, z := range t.Zones {
		if z.Mismatch != "" {
			a.Notes = append(a.Notes, "In the zone "+hostIn(z.Name)+", "+z.Mismatch+".")
		}
	}
}

// errBlank: a name has a blank that its reader has not escaped.
var errBlank = errors.New("a blank in a name")

const blankText = `That is no domain name: there is a blank in it. Write \032 for a blank that is part of the name.`

// parseName reads a name that a person has typed. A blank there is a mistake, though DNS allows it; one
// that is meant has a backslash before it.
func parseName(text string) (dnssec.Name, error) {
	escaped := false
	for _, r := range text {
		if unicode.IsSpace(r) && !escaped {
			return "", errBlank
		}
		escaped = r == '\\' && !escaped
	}
	return dnssec.ParseName(text)
}

// freshCache is the memory of a resolver for one question.
const freshCache = 4 << 20

// fresh makes a resolver with the same options and nothing learnt. It shares neither cache nor
// second level, so that what it does changes nothing for clients.
func (p *Page) fresh() (*resolver.Resolver, error) {
	o := p.resolver.Options()
	o.Cache = cache.New(cache.Options{MaxBytes: freshCache})
	o.SecondLevel, o.SecondLevelChanged = nil, nil
	o.LocalRoot = nil // which would be fetched for the one question
	o.TrustAnchors, o.AnchorStore, o.AnchorsChanged = p.resolver.TrustAnchors(), nil, nil
	o.ServeStale, o.DisablePrefetch = false, true
	return resolver.New(o)
}

// outcome fills in what became of the question, and returns the evidence for it.
func (a *answer) outcome(result *resolver.Result, err error) []dnssec.Link {
	if err != nil {
		a.Failed, a.Verdict, a.Reason, a.Status = true, "no answer", resolver.Explain(err), dnssec.Indeterminate.String()
		var failure *resolver.Error
		if !errors.As(err, &failure) {
			return nil
		}
		a.Status, a.FromCache = failure.Status.String(), errors.Is(err, resolver.ErrCached)
		if failure.Extended != (resolver.ExtendedError{}) {
			a.Notes = append(a.Notes, "Extended DNS error: "+shorten(failure.Extended.String()))
		}
		return failure.Chain
	}
	a.Status, a.FromCache = result.Status.String(), result.FromCache
	a.Verdict, a.Reason = drawing.Verdict(resolver.DoneInfo{Result: result}), reasonFor(result)
	for _, e := range result.Extended {
		a.Notes = append(a.Notes, "Extended DNS error: "+shorten(e.String()))
	}
	if result.Stale {
		a.Notes = append(a.Notes, "A part of this has expired, and the zone could not be asked again.")
	}
	if result.NotKept != nil {
		a.Notes = append(a.Notes, "Not kept in the cache: "+shorten(result.NotKept.Error()))
	}
	records := result.Answer
	if len(records) == 0 {
		records = result.Authority
	}
	const maxRecords = 50
	for i, rr := range records {
		if i == maxRecords {
			a.Records = append(a.Records, "and "+drawing.Count(len(records)-i, "more record"))
			break
		}
		a.Records = append(a.Records, shorten(strings.ReplaceAll(resolver.PrintableRR(rr), "\t", " ")))
	}
	return result.Chain
}

// reasonFor says what an answer means, in a paragraph.
func reasonFor(r *resolver.Result) string {
	name := hostIn(r.Question.Name)
	var text strings.Builder
	if target := r.Canonical(); target != r.Question.Name {
		text.WriteString(name + " is an alias of " + hostIn(target) + ". ")
		name = hostIn(target)
	}
	zone := ""
	for _, rr := range r.Authority {
		if rr.Header().Rrtype == dns.TypeSOA {
			zone = ", as the zone " + hostIn(rr.Header().Name) + " says"
		}
	}
	qtype := dns.Type(r.Question.Qtype).String()
	switch records := countOf(r.Answer, r.Question.Qtype); {
	case r.Rcode == dns.RcodeNameError:
		text.WriteString("There is no name " + name + zone + ".")
	case r.Rcode != dns.RcodeSuccess:
		text.WriteString("The servers of " + name + " answer " + drawing.RcodeText(r.Rcode) + ".")
	case records == 0:
		text.WriteString("The name " + name + " exists, but has no " + qtype + " records" + zone + ".")
	default:
		text.WriteString("The name " + name + " has " + drawing.Count(records, qtype+" record") + ".")
	}
	switch r.Status {
	case dnssec.Secure:
		text.WriteString(" DNSSEC proves it: a chain of signatures leads to it from a trust anchor.")
	case dnssec.Insecure:
		text.WriteString(" DNSSEC does not protect it: a zone on the way is proven not to be signed, or not in a way that can be checked.")
	case dnssec.Bogus:
		text.WriteString(" It fails DNSSEC validation.")
	case dnssec.Indeterminate:
		text.WriteString(" Nothing of it was validated.")
	}
	text.WriteString(" It may be kept for " + span(r.TTL.Round(time.Second)) + ".")
	return text.String()
}

// hostIn returns a name for the middle of a sentence.
func hostIn(name string) string { return shorten(drawing.HostText(name)) }

// countOf counts the records of a type, or all but signatures for ANY.
func countOf(rrs []dns.RR, qtype uint16) int {
	n := 0
	for _, rr := range rrs {
		if t := rr.Header().Rrtype; t == qtype || qtype == dns.TypeANY && t != dns.TypeRRSIG {
			n++
		}
	}
	return n
}

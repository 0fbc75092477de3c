package debugpage

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
)

// Options say who may see a page, and what it may do. The zero value is a page for this host that asks no
// questions.
type Options struct {
	// Token is a secret that every request must have: as the password of HTTP's basic
	// authentication, with any user name, or as a bearer token. "": none.
	Token string
	// Remote lets clients on other hosts see the page, and those behind a proxy that names its
	// clients. It requires a Token. False: only clients on this host.
	Remote bool
	// Hosts are host names, without port, under which the page may be requested, in addition to localhost
	// and IP addresses. Others are refused: a name that leads here may be an attacker's. Nil: none.
	Hosts []string
	// Ask lets the page ask questions, which clients of the program may not be able to do: it sends queries
	// to servers for the names that the reader of the page types. False: it does not.
	Ask bool
	// Every is how often the figures of the plots are read; 180 of them are kept. 0: 10 s, which
	// makes plots of half an hour. At least a second.
	Every time.Duration
}

// OptionError says which field of Options is invalid, and why.
type OptionError struct {
	Option string // the field's name
	Reason string
}

func (e *OptionError) Error() string { return "debugpage: options: " + e.Option + ": " + e.Reason }

// defaultEvery is how often figures are read: often enough to see what has just happened, and
// seldom enough to cost nothing.
const defaultEvery = 10 * time.Second

// Page is an http.Handler that shows a resolver. It is safe for concurrent use.
type Page struct {
	resolver *resolver.Resolver
	options  Options
	cross    *http.CrossOriginProtection
	figures  figures
	watched  histogram
	looking  chan struct{} // a slot for each request that looks at all servers, or all of the cache
	asking   chan struct{} // a slot for each question under way

	life context.Context // ends with Close
	end  context.CancelFunc
	mu   sync.Mutex
	work sync.WaitGroup // added to with mu held, before the end of life
}

// Bounds on the work that readers of the page cause at one time. Others wait for patience.
const (
	maxLooking = 2
	maxAsking  = 2
	patience   = 5 * time.Second
	// askFor is how long one question may take.
	askFor = 15 * time.Second
)

// New makes a page about a resolver. It starts a goroutine that reads figures, until Close. The
// error is an *OptionError.
func New(r *resolver.Resolver, o Options) (*Page, error) {
	switch {
	case o.Remote && o.Token == "":
		return nil, &OptionError{"Remote", "takes a Token: everybody could read what people look up"}
	case o.Every == 0:
		o.Every = defaultEvery
	case o.Every < time.Second:
		return nil, &OptionError{"Every", fmt.Sprintf("%v is less than a second", o.Every)}
	}
	p := &Page{
		resolver: r, options: o, cross: http.NewCrossOriginProtection(),
		looking: make(chan struct{}, maxLooking), asking: make(chan struct{}, maxAsking),
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.figures.add(figuresOf(r))
	p.work.Go(p.sample)
	return p, nil
}

// Close ends the goroutine that reads figures, and the questions under way, and waits for them.
// Later requests are answered with 503. The resolver stays open. The error is always nil.
func (p *Page) Close() error {
	p.mu.Lock()
	p.end()
	p.mu.Unlock()
	p.work.Wait()
	return nil
}

// begin counts a request among what Close waits for; false after Close.
func (p *Page) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.Err() != nil {
		return false
	}
	p.work.Add(1)
	return true
}

// Watch returns a context whose questions the page counts by the time they take. A Trace that ctx already
// has is called as before.
func (p *Page) Watch(ctx context.Context) context.Context {
	watching := resolver.Trace{}
	before := resolver.ContextTrace(ctx)
	if before != nil {
		watching = *before
	}
	watching.Done = func(i resolver.DoneInfo) {
		p.watched.add(i.Elapsed)
		if before != nil && before.Done != nil {
			before.Done(i)
		}
	}
	return resolver.WithTrace(ctx, &watching)
}

//go:embed assets
var assets embed.FS

// pages are the templates, each with the layout around it.
var pages = func() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(functions).ParseFS(assets, "assets/layout.html"))
	all := make(map[string]*template.Template)
	for _, name := range []string{"overview", "servers", "delegations", "cache", "explain", "message"} {
		all[name] = template.Must(template.Must(layout.Clone()).ParseFS(assets, "assets/"+name+".html"))
	}
	return all
}()

// functions are what templates may call.
var functions = template.FuncMap{
	"count":   drawing.Count,
	"number":  number,
	"network": network,
	"size":    size,
	"millis":  drawing.Millis,
	"span":    span,
}

// style is the style sheet of all pages.
var style = func() []byte {
	own, err := assets.ReadFile("assets/style.css")
	if err != nil {
		panic(err) // it is embedded
	}
	return append(own, drawing.Style()...)
}()

// policy forbids all that the page does not need: scripts, inline styles, frames, other sites.
const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP chooses the page by the last element of the path, so it may be mounted anywhere, as long as the
// pattern ends in a slash.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	name, content, err := p.answer(w, r)
	switch {
	case err != nil:
		p.fail(w, err)
	case name == "style.css":
		h.Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(style) // the reader is gone
	default:
		p.show(w, http.StatusOK, name, content)
	}
}

// answer makes the content of a page. Close waits for it, and not for the reader to take it.
func (p *Page) answer(w http.ResponseWriter, r *http.Request) (name string, content any, err error) {
	if !p.begin() {
		return "", nil, &refusal{http.StatusServiceUnavailable, "This page has been closed."}
	}
	defer p.work.Done()
	if refused := p.refuse(r); refused != nil {
		if refused.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="dns debug page", charset="UTF-8"`)
		}
		return "", nil, refused
	}
	_, name = path.Split(r.URL.Path)
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodPost && name == "explain":
	default:
		w.Header().Set("Allow", "GET, HEAD")
		return "", nil, &refusal{http.StatusMethodNotAllowed, "This page is read with GET."}
	}
	switch name {
	case "style.css":
	case "":
		if r.FormValue("refresh") != "" {
			w.Header().Set("Refresh", strconv.Itoa(int(p.options.Every.Seconds())))
		}
		return "overview", p.overview(r.FormValue("refresh") != ""), nil
	case "servers":
		content, err = p.servers(r)
	case "delegations", "cache":
		content, err = p.cache(r, name == "delegations")
	case "explain":
		content, err = p.explain(w, r)
	default:
		err = &refusal{http.StatusNotFound, "There is no such page."}
	}
	return name, content, err
}

// view is what every page has.
type view struct {
	Name    string // of the page
	Ask     bool
	Content any
}

// show writes a page. All of it goes through PrintableWriter, behind the escaping of the template:
// no text of servers reaches a terminal or a browser with control characters, even where
// Printable was forgotten.
func (p *Page) show(w http.ResponseWriter, status int, name string, content any) {
	var out strings.Builder
	if err := pages[name].Execute(&out, view{name, p.options.Ask, content}); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = resolver.PrintableWriter(w).Write([]byte(out.String())) // the reader is gone
}

// fail writes a page that says why there is no other.
func (p *Page) fail(w http.ResponseWriter, err error) {
	var refused *refusal
	if !errors.As(err, &refused) {
		refused = &refusal{http.StatusInternalServerError, "Something went wrong here."}
	}
	if refused.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(patience.Seconds())))
	}
	p.show(w, refused.status, "message", message{http.StatusText(refused.status), refused.why})
}

type message struct{ Title, Text string }

// slot waits for one of a number of slots, and returns what frees it.
func (p *Page) slot(ctx context.Context, slots chan struct{}) (free func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
	case <-p.life.Done():
	}
	return nil, &refusal{http.StatusServiceUnavailable, "Others are looking at this; try again in a moment."}
}

// number writes a count with commas between its thousands.
func number(n any) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// size writes a number of bytes.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return trimmed(float64(n)/(1<<30)) + " GiB"
	case n >= 1<<20:
		return trimmed(float64(n)/(1<<20)) + " MiB"
	case n >= 1<<10:
		return trimmed(float64(n)/(1<<10)) + " KiB"
	}
	return fmt.Sprintf("%d B", n)
}

// span writes a time as its two largest units.
func span(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < 0:
		return "–"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

package debugpage

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// refusal is why a request gets no page.
type refusal struct {
	status int
	why    string
}

func (e *refusal) Error() string { return e.why }

// refuse returns why a request may not see the page; nil when it may. What is refused for the
// browser's sake comes before the token, which a browser sends by itself.
func (p *Page) refuse(r *http.Request) *refusal {
	switch {
	case !p.options.Remote && !isLocal(r):
		return &refusal{http.StatusForbidden, "This page is for clients on its own host."}
	case !p.isOurs(r.Host):
		return &refusal{http.StatusMisdirectedRequest, "This page is not known by that host name (Options.Hosts)."}
	case p.cross.Check(r) != nil || isForeign(r):
		return &refusal{http.StatusForbidden, "Another site has made this request."}
	case p.options.Token != "" && !hasToken(r, p.options.Token):
		return &refusal{http.StatusUnauthorized, "This page takes a token, as the password."}
	}
	return nil
}

// isLocal reports whether a client is on this host, as far as can be told: whom a proxy on this
// host forwards is not.
func isLocal(r *http.Request) bool {
	for _, forwarded := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if r.Header.Get(forwarded) != "" {
			return false
		}
	}
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && client.Addr().Unmap().IsLoopback()
}

// isOurs reports whether a Host header names this host: no page of another site can have an IP
// address, localhost, or a name of the options for its name.
func (p *Page) isOurs(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil || name == "localhost" {
		return true
	}
	return name != "" && slices.ContainsFunc(p.options.Hosts, func(own string) bool {
		return strings.EqualFold(strings.TrimSuffix(own, "."), name)
	})
}

// isForeign reports whether a browser makes a request on behalf of another site: for an image,
// say. A link from there is followed; it shows the page to nobody but the reader.
func isForeign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
	}
	return false
}

// hasToken reports whether a request has the token. How long that takes does not depend on it.
func hasToken(r *http.Request, token string) bool {
	_, sent, ok := r.BasicAuth()
	if !ok {
		sent, ok = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	a, b := sha256.Sum256([]byte(sent)), sha256.Sum256([]byte(token))
	return ok && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

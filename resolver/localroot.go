package resolver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/iterdns/iterdns/internal/localroot"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/routes"
	roothints "github.com/iterdns/iterdns/rootHints"
)

// LocalRoot is a copy of the root zone that answers instead of the root servers (RFC 8806). The zero value
// fetches it from public servers and keeps it in memory.
//
// A copy is used only if it is verified (RFC 8976 §4): a ZONEMD record with scheme SIMPLE and SHA-384 or
// SHA-512 matches, its serial number is that of the SOA, and ZONEMD, SOA and DNSKEY are Secure by
// Options.TrustAnchors, whatever Options.Validation says. Without a trust anchor for the root, as for
// private roots that are not signed, ZONEMD is a checksum, and the source is trusted.
//
// The copy is refreshed by the timers of its SOA, shortened by up to a quarter, and is no longer used when
// it has expired by its SOA (7 days after a source last confirmed it), or when its signatures have expired.
// While there is no copy, the root servers are asked; so they are when an answer based on the copy turns
// out bogus, and for the keys that Options.AnchorStore follows. A copy that cannot be verified, or is older
// than the one in use, changes nothing.
//
// Its replies pass through the same checks, validation and cache as those of servers: what was cached keeps
// its TTL when the copy is replaced. The root zone of 2026 takes 2.3 MB, and up to 20 MB for the fraction of a
// second in which it is read.
type LocalRoot struct {
	// Sources are tried in order. Nil: LocalRootServers.
	Sources []LocalRootSource
	// File is the path of a file in which the newest copy is kept, so that a restarted program has one at
	// once. It is replaced atomically, and its modification time is when the copy was last confirmed. The
	// copy in it is verified like any other. A symbolic link to it is preserved, and its mode is kept. If it
	// was deleted, damaged or replaced by an older copy, it is written anew when the copy in use is confirmed
	// next. Several processes may share it. The folder must be writable; files in it that are named as File
	// with ".unfinished-" and a number behind it are those of processes that were killed, and removed. "":
	// none.
	File string
	// Changed is called when a copy was loaded, when a round through the sources failed, when one succeeded
	// again, and when File could not be written. It is called by one goroutine, which waits for it, and
	// must call neither Close nor AwaitLocalRoot. Nil: no call.
	Changed func(LocalRootChange)
}

// LocalRootChange is the argument of LocalRoot.Changed.
type LocalRootChange struct {
	LocalRootState
	// Err is what has just failed, a *LocalRootError; nil: nothing.
	Err error
}

// LocalRootSource is where a copy of the root zone comes from. LocalRootFile, LocalRootReader,
// LocalRootFunc and LocalRootAXFR make one. A copy has at most 16 MiB and 200,000 records. One round
// through all sources takes at most two minutes, of which each source has half of what is left, and the
// last one all of it.
type LocalRootSource struct{ source localroot.Source }

// LocalRootFile is a zone file (RFC 1035 §5.1) that another program keeps up to date. Its modification time
// counts as the time when the copy was up to date.
func LocalRootFile(path string) LocalRootSource {
	return LocalRootSource{localroot.Source{Name: path, Path: path}}
}

// LocalRootReader is a zone file that is read once. Resolver.Close waits for a Read under way,
// unless r has a Close method, which is then called. name is for people.
func LocalRootReader(name string, r io.Reader) LocalRootSource {
	open := func(context.Context, uint32) (io.ReadCloser, error) {
		if closer, ok := r.(io.ReadCloser); ok {
			return closer, nil
		}
		return io.NopCloser(r), nil
	}
	return LocalRootSource{localroot.Source{Name: name, Open: open, Once: true}}
}

// A function given to LocalRootFunc returns ErrLocalRootUnchanged when the copy with the serial number that
// it was called with is the newest.
var ErrLocalRootUnchanged = localroot.ErrUnchanged

// LocalRootFunc is a zone file that open returns, as from https://www.internic.net/domain/root.zone. held
// is the serial number of the copy in use, 0 for none; on ErrLocalRootUnchanged that copy stays in use.
// open has to return when ctx ends, and the text is closed then. For HTTP it has to check the status, since
// an error page is no zone file; package roothttp does. Compressed text (gzip) is refused. name is for
// people.
func LocalRootFunc(name string, open func(ctx context.Context, held uint32) (io.ReadCloser, error)) LocalRootSource {
	return LocalRootSource{localroot.Source{Name: name, Open: open}}
}

// LocalRootAXFR is a server that transfers the root zone (RFC 5936) over TCP, or, if config is not
// nil, over TLS (RFC 9103), for which the usual port is 853. Connections are opened by Options.Dial.
// Once there is a copy, the server is first asked for its SOA, and not for a copy already in use.
func LocalRootAXFR(server netip.AddrPort, config *tls.Config) LocalRootSource {
	name := "axfr " + server.String()
	if config != nil {
		config = config.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS13) // RFC 9103 §8.1
		if len(config.NextProtos) == 0 {
			config.NextProtos = []string{"dot"} // RFC 9103 §8.2
		}
		if config.ServerName == "" {
			config.ServerName = server.Addr().String()
		}
		name = "axfr over tls " + server.String()
	}
	return LocalRootSource{localroot.Source{Name: name, Server: server, TLS: config}}
}

// String returns the path, the server, or the name.
func (s LocalRootSource) String() string { return s.source.Name }

// transferring are the root servers that are known to transfer the root zone, by the first letter of
// their names, and transferAddrs those that ICANN has for that alone (RFC 8806 appendix A.1).
const transferring = "bcdfgk"

var transferAddrs = [...]string{
	"192.0.47.132", "2620:0:2830:202::132", // xfr.cjr.dns.icann.org
	"192.0.32.132", "2620:0:2d0:202::132", // xfr.lax.dns.icann.org
}

// LocalRootServers returns the public servers that transfer the root zone to everybody, in an order that
// varies from call to call (RFC 8806 appendix A): the root servers b, c, d, f, g and k, and
// xfr.cjr.dns.icann.org and xfr.lax.dns.icann.org, over TCP without TLS.
func LocalRootServers() []LocalRootSource {
	var sources []LocalRootSource
	for _, s := range roothints.Default().Servers {
		if strings.Contains(transferring, s.Name.Label()) {
			for _, addr := range s.Addrs {
				sources = append(sources, LocalRootAXFR(netip.AddrPortFrom(addr, routes.DefaultPort), nil))
			}
		}
	}
	for _, addr := range transferAddrs {
		sources = append(sources, LocalRootAXFR(netip.AddrPortFrom(netip.MustParseAddr(addr), routes.DefaultPort), nil))
	}
	rand.Shuffle(len(sources), func(i, j int) { sources[i], sources[j] = sources[j], sources[i] })
	return sources
}

// LocalRootFault says in one word what is wrong with a source of the local root, or with its copy.
type LocalRootFault string

// The faults.
const (
	// LocalRootSourceFailed: it could not be opened, reached or read, or does not transfer the zone.
	LocalRootSourceFailed LocalRootFault = "source"
	// LocalRootSize: more bytes, records or time than allowed.
	LocalRootSize LocalRootFault = "size"
	// LocalRootSyntax: what was received is no zone, or an incomplete one.
	LocalRootSyntax LocalRootFault = "syntax"
	// LocalRootUnverifiable: no ZONEMD record, or none of a known scheme and hash algorithm.
	LocalRootUnverifiable LocalRootFault = "unverifiable"
	// LocalRootDigest: the zone does not match its ZONEMD record.
	LocalRootDigest LocalRootFault = "digest"
	// LocalRootSignature: ZONEMD, SOA or DNSKEY are not signed as the trust anchors require, or their
	// signatures are expired or not yet valid.
	LocalRootSignature LocalRootFault = "signature"
	// LocalRootSerial: it is older than the copy in use.
	LocalRootSerial LocalRootFault = "serial"
	// LocalRootExpired: it is older than its SOA allows.
	LocalRootExpired LocalRootFault = "expired"
	// LocalRootFileFailed: LocalRoot.File could not be written.
	LocalRootFileFailed LocalRootFault = "file"
)

// localRootFaults lists them all. It never changes.
var localRootFaults = [localroot.Faults]LocalRootFault{
	localroot.FaultSource:       LocalRootSourceFailed,
	localroot.FaultSize:         LocalRootSize,
	localroot.FaultSyntax:       LocalRootSyntax,
	localroot.FaultUnverifiable: LocalRootUnverifiable,
	localroot.FaultDigest:       LocalRootDigest,
	localroot.FaultSignature:    LocalRootSignature,
	localroot.FaultSerial:       LocalRootSerial,
	localroot.FaultExpired:      LocalRootExpired,
	localroot.FaultFile:         LocalRootFileFailed,
}

// LocalRootError says why a copy of the root zone was not accepted, or not kept. The copy in use, if
// there is one, stays in use.
type LocalRootError struct {
	Fault  LocalRootFault
	Source string // as LocalRootSource.String returns it, or LocalRoot.File
	Serial uint32 // of the copy; 0: not known
	Err    error
}

// Error names the source and the reason.
func (e *LocalRootError) Error() string {
	if e.Serial != 0 {
		return fmt.Sprintf("local root: %s: serial %d: %v", e.Source, e.Serial, e.Err)
	}
	return fmt.Sprintf("local root: %s: %v", e.Source, e.Err)
}

// Unwrap returns the reason.
func (e *LocalRootError) Unwrap() error { return e.Err }

// localRootError returns an error of the engine about the local root as callers see it.
func localRootError(err error) error {
	var e *localroot.Error
	if !errors.As(err, &e) {
		return err
	}
	return &LocalRootError{Fault: localRootFaults[e.Fault], Source: e.Source, Serial: e.Serial, Err: shown(e.Err)}
}

// LocalRootState is what is known about the local root. The zero value is that of a resolver without one.
type LocalRootState struct {
	// InUse: the copy answers; otherwise the root servers are asked.
	InUse bool
	// Secure: it is signed as a trust anchor requires; otherwise ZONEMD was only a checksum.
	Secure bool
	Serial uint32 // of the copy in use, or of the expired one; 0: there was none
	Source string // where that came from
	// Loaded is when it was loaded, Confirmed when a source last said that it is up to date, Refresh when
	// the sources are asked next, and Expires when it is no longer used. They are times of Options.Now,
	// except that Expires is one of Options.SignatureTime where the signatures end first.
	Loaded, Confirmed, Refresh, Expires time.Time
	Records, Bytes                      int // records in the copy, and bytes in memory
	// Err is why the last round through the sources failed, a *LocalRootError; nil: it succeeded.
	Err error
}

// String says in one line which copy is in use, and until when, for people.
func (s LocalRootState) String() string {
	switch {
	case s.Serial == 0 && s.Err == nil:
		return "none"
	case s.Serial == 0:
		return "none: " + Printable(s.Err.Error())
	}
	text := fmt.Sprintf("serial %d from %s, confirmed %s, expires %s", s.Serial, Printable(s.Source),
		s.Confirmed.UTC().Format(time.DateTime), s.Expires.UTC().Format(time.DateTime))
	if !s.InUse {
		text += ", not in use"
	}
	if s.Err != nil {
		text += "; " + Printable(s.Err.Error())
	}
	return text
}

func publicLocalRoot(s localroot.State) LocalRootState {
	return LocalRootState{
		InUse: s.InUse, Secure: s.Secure, Serial: s.Serial, Source: s.Source,
		Loaded: s.Loaded, Confirmed: s.Confirmed, Refresh: s.Refresh, Expires: s.Expires,
		Records: s.Records, Bytes: s.Bytes, Err: localRootError(s.Err),
	}
}

// LocalRootState returns the state of Options.LocalRoot.
func (r *Resolver) LocalRootState() LocalRootState {
	return publicLocalRoot(r.iterate.LocalRoot.State())
}

// AwaitLocalRoot waits until a copy of the root zone is in use. It returns a *LocalRootError as soon as the
// first round through all sources has failed, after which the resolver goes on trying, the cause of ctx
// when that ends, and ErrClosed after Close. New does not wait; a program that wants no query to reach the
// root servers calls AwaitLocalRoot before its first question. Without Options.LocalRoot it returns an
// *OptionError.
func (r *Resolver) AwaitLocalRoot(ctx context.Context) error {
	if r.iterate.LocalRoot == nil {
		return optionError("LocalRoot", "there is none to wait for")
	}
	err := r.iterate.LocalRoot.Await(ctx, r.env.Base)
	if r.env.Base.Err() != nil {
		return ErrClosed
	}
	return localRootError(err)
}

// LocalRootStats counts the uses of Options.LocalRoot, as a part of Stats.
type LocalRootStats struct {
	// InUse is 1 while a copy of the root zone answers, otherwise 0. Serial is its serial number.
	InUse  int    `json:"in_use"`
	Serial uint64 `json:"serial"`
	// Age is how long ago a source confirmed the copy, and Left how long it may still be used, in seconds by
	// Options.Now: Left can be below 0 while InUse is 1, where Options.SignatureTime is behind that.
	Age  int `json:"age_seconds"`
	Left int `json:"left_seconds"`
	// Loaded counts the copies loaded, Unchanged how often a source said that the one in use is the newest,
	// and Replies the replies made from them, each instead of a query to a root server.
	Loaded    uint64 `json:"loaded"`
	Unchanged uint64 `json:"unchanged"`
	Replies   uint64 `json:"replies"`
	// Failures counts what failed, by LocalRootFault.
	Failures map[LocalRootFault]uint64 `json:"failures"`
}

// localRootStats returns the counts; zeros without a local root.
func (r *Resolver) localRootStats() LocalRootStats {
	s := LocalRootStats{Failures: make(map[LocalRootFault]uint64, len(localRootFaults))}
	for _, fault := range localRootFaults {
		s.Failures[fault] = 0
	}
	root := r.iterate.LocalRoot
	if root == nil {
		return s
	}
	s.Loaded, s.Unchanged, s.Replies = root.Counts.Loaded.Load(), root.Counts.Unchanged.Load(), root.Counts.Replies.Load()
	for i, fault := range localRootFaults {
		s.Failures[fault] = root.Counts.Failures[i].Load()
	}
	if state := root.State(); state.InUse {
		now := r.config.Now()
		s.InUse, s.Serial = 1, uint64(state.Serial)
		s.Age, s.Left = int(now.Sub(state.Confirmed)/time.Second), int(state.Expires.Sub(now)/time.Second)
	}
	return s
}

// checkLocalRoot checks the option.
func (c *config) checkLocalRoot() error {
	root := c.LocalRoot
	if root == nil {
		return nil
	}
	if root.Sources != nil && len(root.Sources) == 0 && root.File == "" {
		return optionError("LocalRoot", "no sources: want nil for the public servers")
	}
	asked := root.Sources == nil
	for i, s := range root.Sources {
		transfers := s.source.Open == nil && s.source.Path == ""
		if transfers && !s.source.Server.IsValid() {
			return optionError("LocalRoot", "source number %d is empty: want one of LocalRootFile, LocalRootReader, LocalRootFunc or LocalRootAXFR", i)
		}
		asked = asked || transfers
	}
	if asked && c.Exchanger != nil && c.Dial == nil {
		return optionError("LocalRoot", "a transfer takes a Dial function beside an Exchanger, which carries no streams")
	}
	return nil
}

// openLocalRoot begins to fetch the local root, if there is to be one.
func (r *Resolver) openLocalRoot() {
	o := r.config.LocalRoot
	if o == nil {
		return
	}
	c := localroot.Config{
		File: o.File, Trust: localroot.Trust{Anchors: r.routes.Anchors, Algorithms: r.config.Algorithms},
		Now: r.config.Now, SignatureTime: r.config.SignatureTime, Dial: r.config.Dial,
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	sources := o.Sources
	if sources == nil {
		sources = LocalRootServers()
	}
	for _, s := range sources {
		if server := s.source.Server; o.Sources != nil || r.mayTransferFrom(server.Addr()) {
			c.Sources = append(c.Sources, s.source)
		}
	}
	if changed := o.Changed; changed != nil {
		c.Changed = func(e localroot.Change) { changed(LocalRootChange{publicLocalRoot(e.State), localRootError(e.Err)}) }
	}
	root := localroot.New(c)
	r.iterate.LocalRoot = root
	r.env.Running.Go(func() {
		defer rescue.Quietly()
		root.Run(r.env.Base)
	})
}

// mayTransferFrom reports whether a public server is of a family that is used, and works here.
func (r *Resolver) mayTransferFrom(addr netip.Addr) bool {
	if addr.Is4() {
		return r.config.Family != FamilyIPv6Only
	}
	return r.env.IPv6 && r.config.Family != FamilyIPv4Only
}

// explainLocalRoot explains why a copy of the root zone was not taken.
func explainLocalRoot(e *LocalRootError) (what, remedy string) {
	what = "the copy of the root zone from " + e.Source + " is not used (" + briefly(e.Err) + "); a copy in use before stays in use, and without one the root servers are asked"
	switch e.Fault {
	case LocalRootSourceFailed:
		if errors.As(e.Err, new(*fs.PathError)) {
			return what, "Check that the file is there, and that this program may read it"
		}
		return what, "Check that the source can be reached from here, and gives the zone to everybody"
	case LocalRootSize, LocalRootSyntax:
		return what, "The source gives something else than a root zone, or not the whole of it: look at what it gives"
	case LocalRootUnverifiable:
		return what, "Only a zone with a ZONEMD record (RFC 8976) of a known kind can be verified: use another source"
	case LocalRootDigest:
		return what, "It was damaged or changed on the way or at the source: use another source"
	case LocalRootSignature:
		return what, "Either it is too old, or of another root than Options.TrustAnchors are for, or the clock of this host is wrong"
	case LocalRootSerial, LocalRootExpired:
		return what, "The source is out of date: use another one"
	case LocalRootFileFailed:
		return "the copy of the root zone could not be kept in " + e.Source + " (" + briefly(e.Err) + "); it is used all the same",
			"Check that the folder is there, and that this program may write to it"
	}
	return what, ""
}

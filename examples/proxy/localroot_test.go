package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/rootsigner"
)

// With -local-root, and no network at all, the root's answers are there, validated, and the log and
// the kept file say what is used.
func TestLocalRoot(t *testing.T) {
	dir := t.TempDir()
	zone, hints, anchors, kept := filepath.Join(dir, "root.zone"), filepath.Join(dir, "root.hints"), filepath.Join(dir, "root.ds"), filepath.Join(dir, "kept")
	write(t, zone, rootsigner.Sign(t, ". NS a.root-servers.net.\nnet. NS ns.net.\nns.net. A 127.0.0.1\n", rootsigner.Options{Signed: time.Now()}))
	write(t, hints, ". 3600000 NS a.example.\na.example. 3600000 A 127.0.0.9\n")
	write(t, anchors, fmt.Sprintln(rootsigner.Key(0)))
	p := startProxy(t, "-listen", "127.0.0.1:0", "-hints", hints, "-anchors", anchors, "-local-root", filepath.Join(dir, "none"),
		"-local-root", zone, "-local-root-file", kept)
	const said = "serial 2026010100 from "
	eventually(t, "log that says "+said, func() bool { return strings.Contains(p.text(), said) })
	reply := ask(t, "udp", p.at["udp"], "www.missing.", dns.TypeA, withDO)
	if reply.Rcode != dns.RcodeNameError || !reply.AuthenticatedData {
		t.Errorf("got %v", reply)
	}
	eventually(t, "copy that is kept", func() bool {
		_, err := os.Stat(kept)
		return err == nil
	})
}

func TestLocalRootSources(t *testing.T) {
	c, err := parseFlags([]string{"-local-root", "axfr", "-local-root", "https://www.example/root.zone", "-local-root", "file"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.options()
	if err != nil || o.LocalRoot == nil {
		t.Fatal(o.LocalRoot, err)
	}
	last := o.LocalRoot.Sources[len(o.LocalRoot.Sources)-2:]
	if len(o.LocalRoot.Sources) < 12 || fmt.Sprint(last) != "[https://www.example/root.zone file]" {
		t.Errorf("got %v", o.LocalRoot.Sources)
	}
}

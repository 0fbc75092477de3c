package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is what the server shows over TLS. It is read again when its file has
// changed, so that a renewed one needs no restart.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	reading           state

	mu      sync.Mutex
	current *tls.Certificate // guarded by mu
	changed [2]time.Time     // guarded by mu; when the files were, at the time they were read
	looked  time.Time        // guarded by mu
}

// certificateAge is how long a certificate is used before the file is looked at again.
const certificateAge = 10 * time.Second

func readCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: slog.New(slog.DiscardHandler)}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("-cert, -key: %w", err)
	}
	c.current, c.looked = &pair, time.Now()
	c.changed, err = c.modified()
	return c, err
}

// get has the signature of tls.Config.GetCertificate. A new certificate that cannot be
// read, or does not fit its key yet, leaves the old one in force, and is logged.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certificateAge {
		c.looked = now
		c.reading.report(c.log, "the certificate cannot be read, the one before is used", c.refresh())
	}
	return c.current, nil
}

// refresh reads the certificate again if its file, or its key's, has changed. c.mu is held.
func (c *certificate) refresh() error {
	changed, err := c.modified()
	if err != nil || changed[0].Equal(c.changed[0]) && changed[1].Equal(c.changed[1]) {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.changed = &pair, changed
	return nil
}

// expires returns when the certificate in force ends.
func (c *certificate) expires() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current.Leaf.NotAfter
}

func (c *certificate) modified() (at [2]time.Time, err error) {
	for i, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return at, err
		}
		at[i] = info.ModTime()
	}
	return at, nil
}

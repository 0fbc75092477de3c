package iterdns

import (
	"sync/atomic"

	"github.com/iterdns/iterdns/resolver"
)

// storeState is whether the store is in use, which is logged once for each change: go-redis
// has something to say of each connection, and questions by the thousand meet the same
// trouble.
type storeState struct {
	addr              string
	unread, unwritten atomic.Bool
}

// changed is resolver.Options.SecondLevelChanged. The error is the store's own as far as it
// has one, as of a wrong password or a server that does not speak TLS.
func (s *storeState) changed(c resolver.SecondLevelChange) {
	flag, use := &s.unread, "read"
	if c.Writes {
		flag, use = &s.unwritten, "written"
	}
	flag.Store(c.Err != nil)
	if c.Err != nil {
		log.Warningf("Redis at %s is not %s for now: %v", s.addr, use, c.Err)
		return
	}
	log.Infof("Redis at %s is %s again", s.addr, use)
}

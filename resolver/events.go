package resolver

import (
	"time"
)

// tell calls hook for everybody who listens to this task.
func (t *task) tell(hook func(*Trace)) {
	if !t.heard.empty() {
		t.heard.tell(hook)
	}
}

// tellCache says what the cache knew; nil is nothing.
func (t *task) tellCache(f *finding) {
	t.tell(func(tr *Trace) {
		if tr.Cache == nil {
			return
		}
		info := CacheInfo{Step: t.step()}
		if f != nil {
			info.Hit, info.Status, info.TTL = true, f.status, time.Duration(f.ttl)*time.Second
			info.Negative = f.kind == noData || f.kind == nameError
			info.Alias = f.kind == alias
		}
		tr.Cache(info)
	})
}

// tellFound says that the cache had the whole answer.
func (t *task) tellFound(f *found) {
	t.tell(func(tr *Trace) {
		if tr.Cache != nil {
			tr.Cache(CacheInfo{
				Step: t.step(), Hit: true, Status: f.status, TTL: time.Duration(f.ttl) * time.Second,
				Negative: len(f.sets) == 0, Alias: len(f.aliases) > 0, Stale: f.stale,
			})
		}
	})
}

// tellSecond says what the second level knew; nil is nothing.
func (t *task) tellSecond(cut *zoneCut, q question, start time.Time, m *reply, age time.Duration, err error) {
	t.tell(func(tr *Trace) {
		if tr.SecondLevel == nil {
			return
		}
		info := SecondLevelInfo{
			Step: t.step(), Zone: cut.Zone.String(), Asked: q.public(), Elapsed: time.Since(start), Age: age, Err: err,
		}
		if m != nil {
			info.Hit, info.Kind, info.Message = true, m.kind.String(), m.wire
		}
		tr.SecondLevel(info)
	})
}

// tellDone says how the question ended.
func (t *task) tellDone(result *Result, err error) {
	t.tell(func(tr *Trace) {
		if tr.Done != nil {
			tr.Done(DoneInfo{
				Step: t.step(), Result: result, Err: err,
				Sends: int(t.budget.queries.Load()), Bytes: int(t.budget.bytes.Load()),
				Elapsed:    time.Since(t.budget.deadline.Add(-t.budget.limits.Time)),
				Validation: t.budget.work.Spent(),
			})
		}
	})
}

func (c *conversation) traceQuery() int {
	c.t.sent.Store(true)
	id := int(c.t.budget.queries.Add(1))
	c.t.tell(func(tr *Trace) {
		if tr.Query != nil {
			tr.Query(QueryInfo{
				Step: c.t.step(), ID: id, Zone: c.cut.Zone.String(), Server: c.to.addr, ServerName: c.to.name.String(),
				Network: c.label(c.network), Asked: c.q.public(), Minimised: c.t.minimised, Reason: c.why,
			})
		}
	})
	return id
}

// label gives the network as traces have it.
func (c *conversation) label(network string) string {
	if c.streamOnly() {
		return c.to.hop.network
	}
	return network
}

func (c *conversation) response(id int, network string, rtt time.Duration, octets []byte) ResponseInfo {
	return ResponseInfo{
		Step: c.t.step(), ID: id, Zone: c.cut.Zone.String(), Server: c.to.addr, ServerName: c.to.name.String(),
		Network: c.label(network), RTT: rtt, Message: octets,
	}
}

func (c *conversation) traceFailure(id int, network string, rtt time.Duration, octets []byte, err error) {
	c.t.tell(func(tr *Trace) {
		if tr.Response != nil {
			info := c.response(id, network, rtt, octets)
			info.Err = err
			tr.Response(info)
		}
	})
}

func (c *conversation) traceResponse(id int, network string, rtt time.Duration, octets []byte, out outcome) {
	c.t.tell(func(tr *Trace) {
		if tr.Response == nil {
			return
		}
		info := c.response(id, network, rtt, octets)
		info.Err = out.err
		switch {
		case out.reply != nil:
			info.Kind, info.Rcode = out.reply.kind.String(), out.reply.Rcode
		case c.accepted != nil:
			info.Kind, info.Rcode = "asked again", c.accepted.Rcode()
		default:
			info.Kind = "truncated"
		}
		tr.Response(info)
	})
}

// tellAliases says how the name being searched changes.
func (t *task) tellAliases(f *finding) {
	t.tell(func(tr *Trace) {
		if tr.Alias == nil {
			return
		}
		for _, step := range f.aliases {
			tr.Alias(AliasInfo{Step: t.step(), From: step.From.String(), To: step.To.String(), DNAME: step.IsDNAME()})
		}
	})
}

package resolver

import (
	"time"
)

// tell calls hook for everybody who listens to this task.
func (st *step) tell(hook func(*Trace)) {
	if !st.heard.empty() {
		st.heard.tell(hook)
	}
}

// tellCache says what the cache knew; nil is nothing.
func (st *step) tellCache(f *finding) {
	st.tell(func(tr *Trace) {
		if tr.Cache == nil {
			return
		}
		info := CacheInfo{Step: st.info()}
		if f != nil {
			info.Hit, info.Status, info.TTL = true, f.status, time.Duration(f.ttl)*time.Second
			info.Negative = f.kind == kindNoData || f.kind == kindNameError
			info.Alias = f.kind == kindAlias
		}
		tr.Cache(info)
	})
}

// tellFound says that the cache had the whole answer.
func (st *step) tellFound(f *found) {
	st.tell(func(tr *Trace) {
		if tr.Cache != nil {
			tr.Cache(CacheInfo{
				Step: st.info(), Hit: true, Status: f.status, TTL: time.Duration(f.ttl) * time.Second,
				Negative: len(f.sets) == 0, Alias: len(f.aliases) > 0, Stale: f.stale,
			})
		}
	})
}

// tellSecond says what the second level knew; nil is nothing.
func (st *step) tellSecond(cut *zoneCut, q question, start time.Time, m *reply, age time.Duration, err error) {
	st.tell(func(tr *Trace) {
		if tr.SecondLevel == nil {
			return
		}
		info := SecondLevelInfo{
			Step: st.info(), Zone: cut.Zone.String(), Asked: q.public(), Elapsed: time.Since(start), Age: age, Err: err,
		}
		if m != nil {
			info.Hit, info.Kind, info.Message = true, m.kind.String(), m.wire
		}
		tr.SecondLevel(info)
	})
}

// tellDone says how the question ended.
func (st *step) tellDone(result *Result, err error) {
	st.tell(func(tr *Trace) {
		if tr.Done != nil {
			tr.Done(DoneInfo{
				Step: st.info(), Result: result, Err: err,
				Sends: int(st.budget.queries.Load()), Bytes: int(st.budget.bytes.Load()),
				Elapsed:    time.Since(st.budget.deadline.Add(-st.budget.limits.Time)),
				Validation: st.budget.work.Spent(),
			})
		}
	})
}

func (x *exchange) traceQuery() int {
	x.st.sent.Store(true)
	id := int(x.st.budget.queries.Add(1))
	x.st.tell(func(tr *Trace) {
		if tr.Query != nil {
			tr.Query(QueryInfo{
				Step: x.st.info(), ID: id, Zone: x.cut.Zone.String(), Server: x.to.addr, ServerName: x.to.name.String(),
				Network: x.label(x.network), Asked: x.q.public(), Minimised: x.st.minimised, Reason: x.why,
			})
		}
	})
	return id
}

// label gives the network as traces have it.
func (x *exchange) label(network string) string {
	if x.streamOnly() {
		return x.to.forwarder.network
	}
	return network
}

func (x *exchange) response(id int, network string, rtt time.Duration, octets []byte) ResponseInfo {
	return ResponseInfo{
		Step: x.st.info(), ID: id, Zone: x.cut.Zone.String(), Server: x.to.addr, ServerName: x.to.name.String(),
		Network: x.label(network), RTT: rtt, Message: octets,
	}
}

func (x *exchange) traceFailure(id int, network string, rtt time.Duration, octets []byte, err error) {
	x.st.tell(func(tr *Trace) {
		if tr.Response != nil {
			info := x.response(id, network, rtt, octets)
			info.Err = err
			tr.Response(info)
		}
	})
}

func (x *exchange) traceResponse(id int, network string, rtt time.Duration, octets []byte, out outcome) {
	x.st.tell(func(tr *Trace) {
		if tr.Response == nil {
			return
		}
		info := x.response(id, network, rtt, octets)
		info.Err = out.err
		switch {
		case out.reply != nil:
			info.Kind, info.Rcode = out.reply.kind.String(), out.reply.Rcode
		case x.accepted != nil:
			info.Kind, info.Rcode = "asked again", x.accepted.Rcode()
		default:
			info.Kind = "truncated"
		}
		tr.Response(info)
	})
}

// tellAliases says how the name being searched changes.
func (st *step) tellAliases(f *finding) {
	st.tell(func(tr *Trace) {
		if tr.Alias == nil {
			return
		}
		for _, step := range f.aliases {
			tr.Alias(AliasInfo{Step: st.info(), From: step.From.String(), To: step.To.String(), DNAME: step.IsDNAME()})
		}
	})
}

// Package upstream asks one server one question, until there is a reply that can be
// classified or the server has failed.
//
// In come a [Request] and a server of a list; out comes a [Result]: what the server may say,
// and what kind of response that is (RFC 2308 §2), or an error. The package decides the form
// of each query (EDNS and cookie: RFC 6891, RFC 7873; mixed letter case: 0x20; UDP or TCP: RFC
// 7766), which message is the reply (RFC 5452 §9.1), how long it is waited for, whether the
// same server is asked again in another form (RFC 6891 §6.2.2), and what package infra is
// told of the server. It takes the slots of queries, sockets and connections.
//
// It never chooses the server or follows a referral, and looks for nothing in the cache of
// answers.
//
// Unbound's words are serviced query (services/outside_network.c) and response type
// (iterator/iter_resptype.c); Knot Resolver's, session and layer iterate.
package upstream

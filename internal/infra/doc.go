// Package infra remembers what servers are like: how fast each address answers,
// whether it answers at all, whether its zone's data is there (lameness, RFC 1034
// §4.2.2), whether it knows EDNS, keeps the letter case of questions, and which
// DNS cookie it gave.
//
// It decides nothing about which server is asked; package resolver does so from
// the estimates given here. Everything is bounded and fades with time, so that one
// bad hour of a server is not held against it for ever.
package infra

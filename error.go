package stead

import (
	"errors"
	"strconv"
)

// Kind is the class of an Error. Adapters map each kind to their own words: an
// HTTP status, a Heroku error id, an exit code.
type Kind uint8

// The kinds of error.
const (
	KindInternal        Kind = iota // our fault; the default for any other error
	KindInvalid                     // the input cannot mean anything; change it
	KindUnauthenticated             // who are you?
	KindForbidden                   // you may not
	KindNotFound                    // it is not there, or not yours to see
	KindConflict                    // it clashes with what is there now
	KindPrecondition                // right input, wrong moment (no release yet, build running)
	KindLimit                       // a quota, rate or size was reached
	KindUnavailable                 // a part of the platform is down; try again
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "forbidden", "not_found",
	"conflict", "precondition", "limit", "unavailable"}

// String returns the kind's name as it stands in API answers.
func (k Kind) String() string { return kindNames[k] }

// ParseKind is the inverse of Kind.String; an unknown name is KindInternal.
func ParseKind(s string) Kind {
	for i, n := range kindNames {
		if n == s {
			return Kind(i)
		}
	}
	return KindInternal
}

// Error is the one error type that people see. Msg says what happened and why,
// Hint what to try, Field which part of the input was at fault (a JSON path or
// a flag's name; empty if none). Err is the cause, for logs and errors.Is, and
// is never shown to a user.
type Error struct {
	Kind  Kind
	Msg   string
	Hint  string
	Field string
	Err   error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first Error in err's chain, or KindInternal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// Invalid returns an error for input that cannot mean anything.
func Invalid(field, msg, hint string) error {
	return &Error{Kind: KindInvalid, Field: field, Msg: msg, Hint: hint}
}

// NotFound returns the error for a thing that is not there or that the actor
// may not see; the two are never told apart. noun is the glossary's word.
func NotFound(noun, ref string) error {
	hint := "check the spelling, or list what there is"
	switch noun {
	case "app", "org", "space", "user", "member", "domain", "route", "release", "build", "task", "token", "key":
		hint += ": stead " + noun + "s"
	}
	return &Error{Kind: KindNotFound, Msg: "no " + noun + " " + quote(ref) + " that you can see", Hint: hint}
}

// Conflict returns an error for input that clashes with what is there now.
func Conflict(msg, hint string) error { return &Error{Kind: KindConflict, Msg: msg, Hint: hint} }

// Precondition returns an error for a request that is right but comes at the
// wrong moment.
func Precondition(msg, hint string) error {
	return &Error{Kind: KindPrecondition, Msg: msg, Hint: hint}
}

// Unavailable returns an error for a part of the platform that does not answer.
func Unavailable(msg, hint string, err error) error {
	return &Error{Kind: KindUnavailable, Msg: msg, Hint: hint, Err: err}
}

func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strconv.Quote(s)
}

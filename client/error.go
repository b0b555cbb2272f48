package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/steadpaas/stead"
)

// unreachable is the error of a platform that gave no answer. When it was the
// caller who gave up, the context's error is in the chain.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &stead.Error{Kind: stead.KindUnavailable, Msg: "the request to " + c.base + " was given up",
			Hint: "try again, or allow more time", Err: context.Cause(ctx)}
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return stead.Unavailable("the platform at "+c.base+" shows a certificate that this machine does not trust",
			"if the platform signs it itself, get its root from the operator (stead certs ca) and set SSL_CERT_FILE to that file", bad)
	}
	return stead.Unavailable("the platform at "+c.base+" does not answer",
		"check the address and that steadd is running there, then try again", err)
}

var errNotStead = errors.New("not an answer of the v1 API")

// notStead is the error of an answer that no platform gives. That of a gateway
// in between (502, 503, 504) may pass.
func (c *Client) notStead(resp *http.Response, err error) error {
	if resp.StatusCode < 502 {
		err = errors.Join(errNotStead, err)
	}
	return stead.Unavailable(fmt.Sprintf("%s answered %s, which is not an answer of a Stead platform", c.base, resp.Status),
		"check the address; a proxy may stand in between", err)
}

// failure reads the problem of a response that is not a success.
func (c *Client) failure(resp *http.Response) error {
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what came is enough to tell
	var p stead.Problem
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") &&
		json.Unmarshal(data, &p) == nil && p.Kind != "" {
		return p.Err()
	}
	return c.notStead(resp, nil)
}

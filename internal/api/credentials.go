package api

import (
	"context"

	"github.com/steadpaas/stead"
)

// credentials are tokens and SSH keys: always the caller's own.
func credentials(s *server) {
	handleList(s, op("Tokens", "GET", "tokens", "List one's own tokens"), func(ctx context.Context, _ *none) ([]stead.Token, error) {
		return s.p.Tokens(ctx)
	})
	handle(s, op("CreateToken", "POST", "tokens", "Make a token, never wider than the caller's"), func(ctx context.Context, in *struct{ Body stead.NewToken }) (stead.Token, error) {
		if in.Body.TTL < 0 || in.Body.TTL > maxTTL {
			return stead.Token{}, stead.Invalid("ttl", "the time to live is not usable", "give seconds, at most ten years; 0 never expires")
		}
		return s.p.CreateToken(ctx, in.Body.Name, in.Body.Scope, in.Body.TTL.Duration())
	})
	type token struct {
		Token stead.ID `path:"token" maxLength:"100"`
	}
	act(s, op("RevokeToken", "DELETE", "tokens/{token}", "End a token"), func(ctx context.Context, in *token) error {
		return s.p.RevokeToken(ctx, in.Token)
	})
	handleList(s, op("SSHKeys", "GET", "keys", "List one's own SSH keys"), func(ctx context.Context, _ *none) ([]stead.SSHKey, error) {
		return s.p.SSHKeys(ctx)
	})
	type newKey struct {
		Body struct {
			PublicKey string `json:"public_key" maxLength:"16384" doc:"In authorized_keys form."`
		}
	}
	handle(s, op("AddSSHKey", "POST", "keys", "Add an SSH key"), func(ctx context.Context, in *newKey) (stead.SSHKey, error) {
		return s.p.AddSSHKey(ctx, in.Body.PublicKey)
	})
	type key struct {
		Key string `path:"key" maxLength:"300" doc:"ID, fingerprint or name"`
	}
	act(s, op("RemoveSSHKey", "DELETE", "keys/{key}", "Remove an SSH key"), func(ctx context.Context, in *key) error {
		return s.p.RemoveSSHKey(ctx, in.Key)
	})
}

// maxTTL is the longest life of a token that expires.
const maxTTL stead.Seconds = 10 * 366 * 24 * 3600

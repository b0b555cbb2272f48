package platform

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"unicode"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/store"
)

// UploadSource stores an archive for a later Push. It needs ActWrite on the app;
// with ref "", which is for an app that is named later, a token that may write.
func (p *Platform) UploadSource(ctx context.Context, ref string, r io.Reader) (src stead.Source, err error) {
	if err := p.view(ctx, func(w *work) error { return w.mayUpload(ref) }); err != nil {
		return src, err
	}
	if p.d.Sources == nil {
		return src, stead.Unavailable("the platform has no place for sources", "start it with one", nil)
	}
	digest, size, err := p.d.Sources.Put(ctx, r, MaxSource)
	if err != nil {
		return src, err
	}
	src = stead.Source{Kind: stead.SourceArchive, Digest: digest, Size: size}
	err = p.change(ctx, func(w *work) error {
		data := map[string]any{"digest": digest, "size": size}
		if ref == "" {
			return w.record(store.Event{Event: stead.Event{Verb: "source.upload", Data: data}})
		}
		a, err := w.app(ref, stead.ActWrite)
		if err != nil {
			return err
		}
		return w.event("source.upload", &a, data)
	})
	return src, err
}

func (w *work) mayUpload(ref string) error {
	if ref != "" {
		_, err := w.app(ref, stead.ActWrite)
		return err
	}
	if !w.actor.May(stead.ActWrite, stead.RoleDeveloper) {
		return denied("your token may only "+string(w.actor.Scope)+", which does not allow uploads", "use a token with a wider scope")
	}
	return nil
}

var (
	digestGrammar = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	commitGrammar = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})?$`)
	imageGrammar  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,511}$`)
)

// checkSource refuses what no build can start from, and cuts what is only shown.
func (p *Platform) checkSource(src *stead.Source) error {
	if !commitGrammar.MatchString(src.Commit) {
		return stead.Invalid("source.commit", "the commit is not a git object name", "give it in full, in lower-case hexadecimal")
	}
	src.Branch, src.Message = oneLine(src.Branch, 255), oneLine(src.Message, 200)
	switch src.Kind {
	case stead.SourceImage:
		src.Digest, src.Size = "", 0
		if !imageGrammar.MatchString(src.Image) {
			return stead.Invalid("source.image", "this is not an image reference", "write it like docker.io/library/nginx:1.29")
		}
	case stead.SourceArchive:
		src.Image = ""
		if !digestGrammar.MatchString(src.Digest) {
			return stead.Invalid("source.digest", "this is not the digest of a source", "upload the source first, and push what that returns")
		}
		return p.sourceExists(src.Digest)
	default:
		return stead.Invalid("source.kind", "there is no such kind of source", "use archive or image")
	}
	return nil
}

func (p *Platform) sourceExists(digest string) error {
	if p.d.Sources == nil {
		return stead.Unavailable("the platform has no place for sources", "start it with one", nil)
	}
	f, err := p.d.Sources.Open(digest)
	if errors.Is(err, fs.ErrNotExist) {
		return stead.NotFound("source", digest)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// oneLine keeps the printable start of a text.
func oneLine(s string, limit int) string {
	s, _, _ = strings.Cut(s, "\n")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, s)
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit-1]) + "…"
	}
	return strings.TrimSpace(s)
}

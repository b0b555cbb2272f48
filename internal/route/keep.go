package route

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"

	"github.com/steadpaas/stead"
)

// Sealer seals what must not lie open on the disk.
type Sealer interface {
	Seal(plain, aad []byte) ([]byte, error)
	Open(sealed, aad []byte) ([]byte, error)
}

// certificatesAAD binds what is sealed to its purpose.
var certificatesAAD = []byte("router/certificates")

// Files of the state directory.
const (
	tableFile        = "table.json"
	certificatesFile = "certificates.sealed"
)

func (s *server) putCertificates(w http.ResponseWriter, r *http.Request) {
	var c Certificates
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxTable)).Decode(&c); err != nil {
		writeError(w, stead.Invalid("certificates", "the certificates are not valid JSON: "+err.Error(), "send a route.Certificates"))
		return
	}
	shelf, err := newShelf(&c)
	if err != nil {
		writeError(w, err)
		return
	}
	s.core.shelf.Store(shelf)
	if err := s.saveCertificates(&c); err != nil {
		s.cfg.Log.Error("certificates not saved", "error", err)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) saveCertificates(c *Certificates) error {
	if s.cfg.Sealer == nil {
		return nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if b, err = s.cfg.Sealer.Seal(b, certificatesAAD); err != nil {
		return err
	}
	return s.replace(certificatesFile, b)
}

// loadCertificates serves the saved ones, if there are.
func (s *server) loadCertificates() error {
	if s.cfg.Sealer == nil {
		return nil
	}
	b, err := s.state.ReadFile(certificatesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if b, err = s.cfg.Sealer.Open(b, certificatesAAD); err != nil {
		return err
	}
	var c Certificates
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	shelf, err := newShelf(&c)
	if err == nil {
		s.core.shelf.Store(shelf)
	}
	return err
}

package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

// operations returns the document's operations by id.
func operations(t *testing.T, s *server) map[string]*huma.Operation {
	t.Helper()
	all := map[string]*huma.Operation{}
	for _, item := range s.api.OpenAPI().Paths {
		for _, o := range []*huma.Operation{item.Get, item.Put, item.Post, item.Patch, item.Delete} {
			if o == nil {
				continue
			}
			if all[o.OperationID] != nil {
				t.Errorf("two operations are named %s", o.OperationID)
			}
			all[o.OperationID] = o
		}
	}
	return all
}

// TestClientIsTheDocument calls each method of the client and compares the
// request that it makes with the operation of the same name.
func TestClientIsTheDocument(t *testing.T) {
	s, _ := build(Config{})
	ops := operations(t, s)
	var asked []string
	mux := http.NewServeMux()
	for _, o := range ops {
		mux.HandleFunc(o.Method+" "+o.Path, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, o.OperationID)
			newProblem(r.Context(), http.StatusNotFound, &stead.Error{Kind: stead.KindNotFound}).write(w)
		})
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := reflect.ValueOf(client.New(srv.URL, "token"))
	for i := range c.NumMethod() {
		name := c.Type().Method(i).Name
		if name == "URL" {
			continue
		}
		if ops[name] == nil {
			t.Errorf("client method %s is no operation of the API", name)
			continue
		}
		asked = nil
		invoke(t, c.Method(i))
		if len(asked) != 1 || asked[0] != name {
			t.Errorf("client method %s asks for %v", name, asked)
		}
		delete(ops, name)
	}
	for name := range ops {
		t.Errorf("operation %s has no client method", name)
	}
}

// invoke calls a method with made-up arguments and reads its stream.
func invoke(t *testing.T, m reflect.Value) {
	t.Helper()
	args := make([]reflect.Value, m.Type().NumIn())
	for i := range args {
		args[i] = made(t, m.Type().In(i))
	}
	out := m.Call(args)
	if typ := out[0].Type(); typ.Kind() == reflect.Func && typ.CanSeq2() {
		for range out[0].Seq2() {
			break
		}
	}
}

func made(t *testing.T, typ reflect.Type) reflect.Value {
	switch {
	case typ == reflect.TypeFor[context.Context]():
		return reflect.ValueOf(t.Context())
	case typ.Kind() == reflect.String:
		return reflect.ValueOf("x").Convert(typ)
	case typ.Kind() == reflect.Int:
		return reflect.ValueOf(7)
	case typ.Kind() == reflect.Interface:
		return reflect.ValueOf(strings.NewReader("x"))
	}
	return reflect.New(typ).Elem()
}

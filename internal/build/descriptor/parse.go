package descriptor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
)

// Limits on a document's shape.
const (
	maxDepth = 32
	maxNodes = 20_000 // aliases counted as often as they are used
)

var (
	errDepth = fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	errNodes = fmt.Errorf("it has more than %d values", maxNodes)
	errMap   = errors.New("it is not a table of names and values")
)

func parseYAML(data []byte) (map[string]any, error) {
	if err := brackets(data); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	err := dec.Decode(&root)
	if errors.Is(err, io.EOF) {
		return map[string]any{}, nil
	}
	if err != nil {
		return nil, err
	}
	left := maxNodes
	v, err := value(&root, 0, &left)
	if err != nil {
		return nil, err
	}
	if m, ok := v.(map[string]any); ok {
		return m, nil
	}
	return nil, errMap
}

// value copies a node, following aliases within the budget.
func value(n *yaml.Node, depth int, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, errNodes
	}
	if depth > maxDepth {
		return nil, errDepth
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return map[string]any{}, nil
		}
		return value(n.Content[0], depth, left)
	case yaml.AliasNode:
		return value(n.Alias, depth+1, left)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := value(c, depth+1, left)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.MappingNode:
		return mapping(n, depth, left)
	}
	if n.Tag == "!!null" {
		return nil, nil
	}
	return n.Value, nil
}

func mapping(n *yaml.Node, depth int, left *int) (any, error) {
	out, merged := map[string]any{}, map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		v, err := value(n.Content[i+1], depth+1, left)
		if err != nil {
			return nil, err
		}
		if n.Content[i].Tag != "!!merge" {
			out[n.Content[i].Value] = v
			continue
		}
		sources, ok := v.([]any)
		if !ok {
			sources = []any{v}
		}
		for _, s := range sources {
			for k, v := range asMap(s) {
				if _, ok := merged[k]; !ok {
					merged[k] = v
				}
			}
		}
	}
	for k, v := range merged {
		if _, ok := out[k]; !ok {
			out[k] = v
		}
	}
	return out, nil
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func parseJSON(data []byte) (map[string]any, error) {
	if err := brackets(data); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return normal(m)
}

func parseTOML(data []byte) (map[string]any, error) {
	if err := brackets(data); err != nil {
		return nil, err
	}
	var m map[string]any
	if err := toml.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	return normal(m)
}

// brackets refuses what would have a parser go deep.
func brackets(data []byte) error {
	depth := 0
	for _, c := range data {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		}
		if depth > 500 { // text may leave brackets open, but not hundreds
			return errDepth
		}
	}
	return nil
}

// normal makes all scalars text, as in YAML here, and checks the limits.
func normal(m map[string]any) (map[string]any, error) {
	left := maxNodes
	v, err := scalar(m, 0, &left)
	if err != nil {
		return nil, err
	}
	return asMap(v), nil
}

func scalar(v any, depth int, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, errNodes
	}
	if depth > maxDepth {
		return nil, errDepth
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			n, err := scalar(e, depth+1, left)
			if err != nil {
				return nil, err
			}
			v[k] = n
		}
		return v, nil
	case []any:
		for i, e := range v {
			n, err := scalar(e, depth+1, left)
			if err != nil {
				return nil, err
			}
			v[i] = n
		}
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case json.Number:
		return v.String(), nil
	case time.Time:
		return v.Format(time.RFC3339), nil
	case string, nil:
		return v, nil
	}
	return fmt.Sprint(v), nil
}

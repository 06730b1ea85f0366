package model

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// tree is the content of an answer without its format: the same calls answered
// in XML and JSON make equal trees. A list is several kids of one name; an empty
// list, an empty object and an empty text cannot be told apart, as in XML.
type tree struct {
	text string
	kids map[string][]*tree
}

// parseJSON and parseXML read an answer and drop what differs by nature.
func parseJSON(body []byte) (*tree, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w in %s", err, body)
	}
	t, err := treeOf(v)
	if err != nil {
		return nil, fmt.Errorf("%w in %s", err, body)
	}
	return t.trim(), nil
}

func treeOf(v any) (*tree, error) {
	t := &tree{kids: map[string][]*tree{}}
	switch v := v.(type) {
	case string:
		t.text = v
	case json.Number, bool:
		t.text = fmt.Sprint(v)
	case map[string]any:
		for name, kid := range v {
			list, isList := kid.([]any)
			if !isList {
				list = []any{kid}
			}
			for _, e := range list {
				k, err := treeOf(e)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				t.kids[name] = append(t.kids[name], k)
			}
		}
	default:
		return nil, fmt.Errorf("%T where a text, number, boolean or object belongs", v)
	}
	return t, nil
}

func parseXML(body []byte) (*tree, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	stack := []*tree{{kids: map[string][]*tree{}}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w in %s", err, body)
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			kid := &tree{kids: map[string][]*tree{}}
			top.kids[token.Name.Local] = append(top.kids[token.Name.Local], kid)
			stack = append(stack, kid)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(token)
		}
	}
	for _, roots := range stack[0].kids {
		return roots[0].trim(), nil
	}
	return nil, fmt.Errorf("no element in %s", body)
}

// trim drops the request's id, and links that hold it.
func (t *tree) trim() *tree {
	delete(t.kids, "RequestId")
	delete(t.kids, "Recommend")
	return t
}

// String is the same for trees of the same content.
func (t *tree) String() string {
	if len(t.kids) == 0 {
		return fmt.Sprintf("%q", t.text)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(t.kids)) {
		for _, kid := range t.kids[name] {
			parts = append(parts, name+"="+kid.String())
		}
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// get is the text at a path of first kids, or "".
func (t *tree) get(path ...string) string {
	for _, name := range path {
		if len(t.kids[name]) == 0 {
			return ""
		}
		t = t.kids[name][0]
	}
	return t.text
}

// list is all kids at the end of the path.
func (t *tree) list(path ...string) []*tree {
	for _, name := range path[:len(path)-1] {
		if len(t.kids[name]) == 0 {
			return nil
		}
		t = t.kids[name][0]
	}
	return t.kids[path[len(path)-1]]
}

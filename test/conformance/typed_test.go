package conformance

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"
)

// bySDK calls through the vendor's typed requests and responses: the request
// struct is found by the client's method for the action and filled by the names
// in its tags. Parameters and actions that the SDK does not have go through its
// common request.
func bySDK(c *slb.Client) caller {
	return func(t testing.TB, s *step, params map[string]string) reply {
		t.Helper()
		method := reflect.ValueOf(c).MethodByName(s.action)
		if !method.IsValid() {
			return commonReply(t, c, s, params)
		}
		request := reflect.New(method.Type().In(0).Elem())
		rpc := &requests.RpcRequest{}
		request.Elem().FieldByName("RpcRequest").Set(reflect.ValueOf(rpc))
		rpc.InitWithApiInfo("Slb", slbVersion, s.action, "slb", "openAPI")
		rpc.Method = requests.POST
		for name, value := range params {
			if !fill(request.Elem(), name, value) {
				rpc.QueryParams[name] = value
			}
		}
		out := method.Call([]reflect.Value{request})
		if err, _ := out[1].Interface().(error); err != nil {
			return errorReply(t, s, err)
		}
		body := out[0].Interface().(interface{ GetHttpContentString() string }).GetHttpContentString()
		return reply{status: 200, body: decoded(t, body)}
	}
}

func commonReply(t testing.TB, c *slb.Client, s *step, params map[string]string) reply {
	t.Helper()
	body, err := common(c, "Slb", s.version, s.action, "JSON", params)
	if err != nil {
		return errorReply(t, s, err)
	}
	return reply{status: 200, body: decoded(t, body)}
}

func errorReply(t testing.TB, s *step, err error) reply {
	t.Helper()
	var e *sdkerrors.ServerError
	if !errors.As(err, &e) {
		t.Fatalf("%s: the SDK fails by itself: %v", s.where, err)
	}
	return reply{status: e.HttpStatus(), code: e.ErrorCode(), text: e.Message()}
}

// fill sets the field for a parameter and reports whether there is one.
func fill(request reflect.Value, name, value string) bool {
	base, rest, repeated := strings.Cut(name, ".")
	for i := range request.NumField() {
		f := request.Type().Field(i)
		if f.Tag.Get("name") != base {
			continue
		}
		field := request.Field(i)
		switch {
		case !repeated:
			if field.Kind() != reflect.String { // also requests.Integer, requests.Boolean
				return false
			}
			field.SetString(value)
			return true
		case field.Kind() != reflect.Pointer || field.Type().Elem().Kind() != reflect.Slice:
			return false
		}
		number, sub, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return false
		}
		if field.IsNil() {
			field.Set(reflect.New(field.Type().Elem()))
		}
		list := field.Elem()
		for list.Len() < n {
			list.Set(reflect.Append(list, reflect.Zero(list.Type().Elem())))
		}
		element := list.Index(n - 1)
		if sub != "" {
			return element.Kind() == reflect.Struct && fill(element, sub, value)
		}
		element.SetString(value)
		return true
	}
	return false
}

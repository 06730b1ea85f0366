package main

import (
	"fmt"
	"strings"
)

// rule is a forwarding rule: requests for a host and a path go to the backends.
type rule struct{ host, path string }

// rules are as many as a listener of the vendor's may have. The last is the one
// that the load asks for; the others are there to be looked past.
var rules = func() []rule {
	var out []rule
	for i := range 39 {
		out = append(out, rule{fmt.Sprintf("shop%d.bench.test", i+1), fmt.Sprintf("/part%d", i+1)})
	}
	return append(out, rule{"bench.test", "/bench"})
}()

// The rivals' access logs carry the fields of OpenSLB's, as far as they know
// them. nginx gathers lines in a buffer, as OpenSLB does; HAProxy, which writes
// each by itself, gets an open file so that no other process has to take them.

const nginxLogFormat = `log_format json escape=json '{"slbid":"lb-bench","instance_id":"lb-bench","instance_name":"","region":"cn-hangzhou","network_type":"classic","vpc_id":"",'
        '"scheme":"$scheme","vip_addr":"$server_addr","slb_vport":$server_port,"client_ip":"$remote_addr","client_port":$remote_port,"request_method":"$request_method",'
        '"request_uri":"$request_uri","server_protocol":"$server_protocol","http_host":"$http_host","http_user_agent":"$http_user_agent","http_referer":"$http_referer",'
        '"http_x_forwarded_for":"$http_x_forwarded_for","http_x_real_ip":"$http_x_real_ip","ssl_protocol":"$ssl_protocol","ssl_cipher":"$ssl_cipher","host":"$host",'
        '"time":"$time_iso8601","status":$status,"request_length":$request_length,"body_bytes_sent":$body_bytes_sent,"request_time":$request_time,'
        '"tcpinfo_rtt":$tcpinfo_rtt,"upstream_addr":"$upstream_addr","upstream_status":"$upstream_status","upstream_response_time":"$upstream_response_time"}';`

// haproxyLogged is what the two frontends that log have in common.
const haproxyLogged = `option forwardfor
    log fd@3 len 4096 format raw local0
    log-format '{"slbid":"lb-bench","instance_id":"lb-bench","instance_name":"","region":"cn-hangzhou","network_type":"classic","vpc_id":"","scheme":"%[ssl_fc,iif(https,http)]","vip_addr":"%fi","slb_vport":%fp,"client_ip":"%ci","client_port":%cp,"request_method":"%HM","request_uri":"%[capture.req.uri,json(utf8s)]","server_protocol":"%HV","http_host":"%[capture.req.hdr(0),json(utf8s)]","http_user_agent":"%[capture.req.hdr(1),json(utf8s)]","http_referer":"%[capture.req.hdr(2),json(utf8s)]","http_x_forwarded_for":"%[capture.req.hdr(3),json(utf8s)]","http_x_real_ip":"%[capture.req.hdr(4),json(utf8s)]","ssl_protocol":"%sslv","ssl_cipher":"%sslc","host":"%[capture.req.hdr(0),json(utf8s)]","time":"%tr","status":%ST,"request_length":%U,"body_bytes_sent":%B,"request_time":%Ta,"upstream_addr":"%si:%sp","upstream_status":"%ST","upstream_response_time":"%Tr"}'
    capture request header Host len 64
    capture request header User-Agent len 64
    capture request header Referer len 64
    capture request header X-Forwarded-For len 64
    capture request header X-Real-IP len 64`

// nginxRules are servers, one for each host, that log requests.
func nginxRules(host string, port, portTLS uint16, logFile string) string {
	var out strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&out, `    server {
        listen %s:%d;
        listen %s:%d ssl;
        server_name %s;
        access_log %s json buffer=64k flush=1s;
        location %s {%s}
        location / { return 404; }
    }
`, host, port, host, portTLS, r.host, logFile, r.path, nginxForward)
	}
	return out.String()
}

const nginxForward = `
            proxy_pass http://web;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        `

// haproxyMap is the map from the beginnings of host and path to a backend, which
// is HAProxy's quickest way of having many rules.
func haproxyMap() string {
	var out strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&out, "%s%s web\n", r.host, r.path)
	}
	return out.String()
}

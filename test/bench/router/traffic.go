package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

func plainRequest(host, path string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", path, host)
}

// browserRequest has the fields, and the size, of a browser's request with cookies.
func browserRequest(host, path string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n"+
		"sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n"+
		"Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"+
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n"+
		"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n"+
		"Referer: http://%s/a/page/before\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"+
		"Cookie: session=%s; theme=dark; consent=%s\r\nIf-None-Match: W/\"5f3-19a2b3c4d5e\"\r\n\r\n", path, host, host, strings.Repeat("a1B2", 40), strings.Repeat("x", 60))
}

// one sends a request and reads its answer.
func one(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, plainRequest("app0.bench.test", "/1k")); err != nil {
		return err
	}
	fl, buf := flight{left: -1}, make([]byte, 8<<10)
	for {
		n, err := c.Read(buf)
		if n == 0 && err != nil {
			return err
		}
		if done, err := fl.take(buf[:n]); done || err != nil {
			return err
		}
	}
}

// crowd is n clients that send their heads in pieces, a tenth of a second apart.
func crowd(addr string, n int, end <-chan struct{}) *sync.WaitGroup {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return
			}
			defer c.Close()
			text := plainRequest("app0.bench.test", "/20k")
			go io.Copy(io.Discard, c)
			for i := 0; ; i = (i + 1) % 8 {
				select {
				case <-end:
					return
				case <-time.After(100 * time.Millisecond):
				}
				if _, err := io.WriteString(c, text[i*len(text)/8:(i+1)*len(text)/8]); err != nil {
					return
				}
			}
		})
	}
	return &wg
}

//go:build tools

// What makes belief.proto's Go, at the version that go.mod names.
package main

import _ "google.golang.org/protobuf/cmd/protoc-gen-go"

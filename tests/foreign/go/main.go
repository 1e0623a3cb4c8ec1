// The scenario (../scenario.md) by grpc-go, a gRPC written in Go on its own HTTP/2.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strings"
	"time"

	"encoding/binary"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "beliefd.test/foreign/belief"
)

const wait = 20 * time.Second

var (
	link *grpc.ClientConn
	name string
)

// Names as the other languages write them.
var codeNames = map[codes.Code]string{
	codes.OK: "OK", codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.Aborted: "ABORTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL",
	codes.Unavailable: "UNAVAILABLE", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "foreign/go:", err)
		os.Exit(1)
	}
}

func codeOf(err error) string {
	if err == io.EOF {
		err = nil
	}
	if told, known := codeNames[status.Code(err)]; known {
		return told
	}
	return status.Code(err).String()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func observation(n uint64, dim uint32) []float32 {
	numbers := make([]float32, dim)
	for i := range numbers {
		numbers[i] = float32(int64(7*n+3*uint64(i))%11-5) / 8
	}
	return numbers
}

func reward(n uint64) float32 {
	return float32(int64(n%5)-2) / 4
}

func hexOf(floats []float32) string {
	if len(floats) == 0 {
		return "-"
	}
	var bytes []byte
	for _, x := range floats {
		bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(x))
	}
	return hex.EncodeToString(bytes)
}

// One request and its answer.
func ask(method string, request, reply proto.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return link.Invoke(ctx, "/belief.v1.Belief/"+method, request, reply)
}

func sayAction(word string, a *pb.Action) {
	fmt.Println(word, a.Seq, int32(a.Status), a.Count, hex.EncodeToString(a.Digest), hexOf(a.Action))
}

func sayOpened(o *pb.Opened) {
	fmt.Println("open", o.Epoch, bit(o.Resumed), o.Task, o.Seq, o.Count, o.Model.ObservationDim, o.Model.ActionDim)
}

func sayRefused(word string, err error) {
	if err == nil {
		must(fmt.Errorf("%s: a call that must be refused was answered", word))
	}
	told, code := &pb.Error{}, "-"
	for _, detail := range status.Convert(err).Details() {
		if e, ours := detail.(*pb.Error); ours {
			told, code = e, e.Code.String()
		}
	}
	field := told.Field
	if field == "" {
		field = "-"
	}
	fmt.Println(word, codeOf(err), code, field, told.Limit)
}

type steps struct {
	stream grpc.ClientStream
	end    context.CancelFunc
}

func openSteps() steps {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	stream, err := link.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/belief.v1.Belief/Steps")
	must(err)
	return steps{stream, cancel}
}

func watch(word string, timeout time.Duration, early bool) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	stream, err := health.NewHealthClient(link).Watch(ctx, &health.HealthCheckRequest{})
	must(err)
	first, err := stream.Recv()
	must(err)
	if early {
		cancel()
	}
	for err == nil {
		_, err = stream.Recv()
	}
	fmt.Println(word, first.Status, codeOf(err))
}

func services(names []string) {
	sort.Strings(names)
	fmt.Println("services", strings.Join(names, ","))
}

func reflect() {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	stream, err := reflection.NewServerReflectionClient(link).ServerReflectionInfo(ctx)
	must(err)
	must(stream.Send(&reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_ListServices{ListServices: "*"}}))
	reply, err := stream.Recv()
	must(err)
	var names []string
	for _, service := range reply.GetListServicesResponse().Service {
		names = append(names, service.Name)
	}
	services(names)
}

func reflectAlpha() {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	stream, err := reflectionalpha.NewServerReflectionClient(link).ServerReflectionInfo(ctx)
	must(err)
	must(stream.Send(&reflectionalpha.ServerReflectionRequest{
		MessageRequest: &reflectionalpha.ServerReflectionRequest_ListServices{ListServices: "*"}}))
	reply, err := stream.Recv()
	must(err)
	var names []string
	for _, service := range reply.GetListServicesResponse().Service {
		names = append(names, service.Name)
	}
	services(names)
}

func main() {
	address := "unix://" + strings.TrimPrefix(os.Args[1], "unix:")
	name = os.Args[2]
	var err error
	link, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	defer link.Close()

	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	checker := health.NewHealthClient(link)
	state, err := checker.Check(ctx, &health.HealthCheckRequest{})
	must(err)
	fmt.Println("health", state.Status)
	_, err = checker.Check(ctx, &health.HealthCheckRequest{Service: "nobody"})
	fmt.Println("health-unknown", codeOf(err))
	welcome := &pb.Welcome{}
	must(ask("Hello", &pb.Hello{Client: "foreign/go"}, welcome))
	fmt.Println("hello", welcome.Protocol)

	opened := &pb.Opened{}
	must(ask("Open", &pb.Open{Session: name}, opened))
	sayOpened(opened)
	dim, actions := opened.Model.ObservationDim, opened.Model.ActionDim
	step := func(n, epoch uint64, numbers uint32) *pb.Step {
		return &pb.Step{Session: name, Epoch: epoch, Seq: n, Observation: observation(n, numbers), Reward: reward(n)}
	}

	action := &pb.Action{}
	must(ask("Act", &pb.Act{Session: name, Epoch: opened.Epoch, Seq: 1, Observation: observation(1, dim)}, action))
	sayAction("act", action)
	for n := uint64(2); n < 12; n++ {
		must(ask("Step", step(n, opened.Epoch, dim), action))
		sayAction("step", action)
	}
	must(ask("Step", step(11, opened.Epoch, dim), action))
	sayAction("again", action)

	observe := &pb.Observe{Session: name, Epoch: opened.Epoch, Writer: 5}
	quarter := make([]float32, actions)
	for i := range quarter {
		quarter[i] = 0.25
	}
	for _, n := range []uint64{3, 1, 2, 3} {
		observe.Transitions = append(observe.Transitions, &pb.Transition{Seq: n, Observation: observation(n, dim),
			Action: quarter, Reward: reward(n), NextObservation: observation(n+1, dim)})
	}
	observed := &pb.Observed{}
	must(ask("Observe", observe, observed))
	var statuses []string
	for _, s := range observed.Status {
		statuses = append(statuses, fmt.Sprint(int32(s)))
	}
	fmt.Println("observe", strings.Join(statuses, ","), observed.Count, hex.EncodeToString(observed.Digest))

	s := openSteps()
	for n := uint64(12); n < 17; n++ {
		must(s.stream.SendMsg(step(n, opened.Epoch, dim)))
		must(s.stream.RecvMsg(action))
		sayAction("stream", action)
	}
	must(s.stream.CloseSend())
	fmt.Println("stream-end", codeOf(s.stream.RecvMsg(action)))
	s.end()

	belief := &pb.BeliefState{}
	must(ask("GetBelief", &pb.GetBelief{Session: name, Epoch: opened.Epoch, Sums: true}, belief))
	var heads []string
	for _, head := range belief.Heads {
		heads = append(heads, fmt.Sprintf("%s:%d", head.Name, len(head.Sums)))
	}
	fmt.Println("belief", belief.Count, hex.EncodeToString(belief.Digest), strings.Join(heads, ","))

	sayRefused("wrong-dims", ask("Step", step(17, opened.Epoch, 1), action))
	sayRefused("out-of-step", ask("Step", step(40, opened.Epoch, dim), action))
	s = openSteps()
	must(s.stream.SendMsg(step(17, opened.Epoch, 1)))
	sayRefused("stream-refused", s.stream.RecvMsg(action))
	s.end()

	again := &pb.Opened{}
	must(ask("Open", &pb.Open{Session: name}, again))
	sayOpened(again)
	sayRefused("fenced", ask("Step", step(17, opened.Epoch, dim), action))
	done := &pb.Done{}
	must(ask("Reset", &pb.Reset{Session: name, Epoch: again.Epoch, Scope: pb.Reset_TASK, Task: 1}, done))
	fmt.Println("reset", done.Task, done.Count)

	fmt.Println("unknown-method", codeOf(ask("Nothing", &pb.Ping{}, done)))
	watch("watch", 200*time.Millisecond, false)
	watch("cancel", wait, true)
	must(ask("Ping", &pb.Ping{}, done))
	fmt.Println("ping ok")
	reflect()
	reflectAlpha()
	must(ask("Close", &pb.Close{Session: name, Epoch: again.Epoch, Forget: true}, done))
	fmt.Println("close ok")
	sayRefused("gone", ask("Step", step(18, again.Epoch, dim), action))
}

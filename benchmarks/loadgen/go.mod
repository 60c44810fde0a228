module hbeacon.dev/benchmarks/hbload

go 1.19

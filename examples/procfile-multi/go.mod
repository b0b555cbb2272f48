module procfile-multi

go 1.26

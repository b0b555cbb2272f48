const string version = "1";

var app = WebApplication.CreateBuilder(args).Build();

app.MapGet("/", () => $"{Environment.GetEnvironmentVariable("GREETING") ?? "Hello"} from .NET {Environment.Version} (version {version})\n");
app.MapGet("/healthz", () => "ok\n");

app.Run();

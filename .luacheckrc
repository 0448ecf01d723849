std = "luajit"
max_line_length = 128
self = false
files["spec/**/*_spec.lua"] = { std = "luajit+busted" }
files["examples/**/*_spec.lua"] = { std = "luajit+busted" }
exclude_files = { "build*/**", "**/node_modules/**" }

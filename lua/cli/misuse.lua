--- misuse: refuses a command line that makes no sense, with exit code 2; what cannot be done ends with 1.
return function(text, ...)
  error({ misuse = text:format(...) }, 0)
end

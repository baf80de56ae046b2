export const handler = awslambda.streamifyResponse(async (event, stream) => {
  const body = awslambda.HttpResponseStream.from(stream, {
    statusCode: 201,
    headers: { "content-type": "text/plain" },
    cookies: ["a=b"],
  });
  body.write("first, ");
  if (event.fail) throw new Error("as asked");
  body.write("second");
  body.end();
});

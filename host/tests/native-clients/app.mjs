export const handler = async (event) => {
  if (event.fail) throw new Error("as asked");
  return { echo: event };
};

import "./shop.css";

export const metadata = { title: "onshelf in Next.js" };

export default function Layout({ children }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  );
}
